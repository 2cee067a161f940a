"""What Schemathesis is told of Parley: exceptions.json, and how to write lines."""
import functools
import json
import pathlib
import re

import schemathesis
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

EXCEPTIONS = json.loads(pathlib.Path(__file__).with_name("exceptions.json").read_text())


def is_explained(check, case, response):
    operation = case.operation.definition.raw.get("operationId")
    return any(
        exception["check"] == check
        and operation in exception.get("operations", [operation])
        and re.search(exception.get("answer", ""), response.text)
        for exception in EXCEPTIONS
    )


def reviewed(check):
    """The same check, which takes the place of the original, without what is explained."""

    @functools.wraps(check)
    def wrapped(ctx, response, case):
        try:
            return check(ctx, response, case)
        except (Failure, FailureGroup):
            if not is_explained(check.__name__, case, response):
                raise

    return wrapped


for name in {exception["check"] for exception in EXCEPTIONS}:
    schemathesis.check(reviewed(getattr(checks, name)))


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    return value if isinstance(value, (bytes, str)) else json.dumps(value)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Nothing is sent anywhere: this name is no host's (RFC 2606). And no hold keeps all the rest from being deleted."""
    body = case.body
    if isinstance(body, dict) and case.operation.definition.raw.get("operationId") == "createLegalHold" and body.get("scope") == "tenant":
        case.body = {**body, "scope": "session"}
    if isinstance(body, dict) and isinstance(body.get("url"), str) and "://" in body["url"]:
        case.body = {**body, "url": "https://parley.invalid/"}
