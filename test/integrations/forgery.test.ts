import { createHmac } from 'node:crypto'
import t from 'tap'
import { schemeOf } from '../../src/integrations/signatures/schemes.ts'
import { hintOf, verify } from '../../src/integrations/signatures/verify.ts'
import { type SignatureScheme } from '../../schemas/integration.ts'
import { signers, type Signed } from './signers.ts'

const AT = 1_760_000_000
const secrets: Readonly<Record<SignatureScheme, readonly [string, string]>> = {
  standard: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLBARz8l1KJ3gxt4=', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'],
  github: ['It\'s a Secret to Everybody', 'another secret of theirs'],
  stripe: ['whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH', 'whsec_another_one_of_stripe'],
  slack: ['8f742231b10e8888abcd99yyyzzz85a5', '9f742231b10e8888abcd99yyyzzz85a6'],
  hmac: ['a plain secret of sixteen', 'another plain secret']
}
const hmacPlace = { header: 'X-Signature', encoding: 'hex', prefix: '' } as const
const of = (scheme: SignatureScheme) => schemeOf({ scheme, hmac: scheme === 'hmac' ? hmacPlace : null })
const names = Object.keys(secrets) as SignatureScheme[]
const signed = ['webhook-id', 'webhook-timestamp', 'webhook-signature', 'x-hub-signature-256', 'stripe-signature', 'x-slack-request-timestamp', 'x-slack-signature', 'x-signature']

function verdict (scheme: SignatureScheme, { headers, body }: Signed, { at = AT, keys = secrets[scheme] }: { at?: number, keys?: readonly string[] } = {}) {
  return verify(of(scheme), keys, { headers, body: Buffer.from(body, 'latin1') }, at * 1000)
}

const isTaken = (found: ReturnType<typeof verdict>) => 'secret' in found

const body = '{"type":"message","text":"Hello, \\u00e9","n":1}'

t.test('what is exactly as it was signed is taken, by either of two secrets', async (t) => {
  for (const scheme of names) {
    const [first, second] = secrets[scheme]
    t.same(verdict(scheme, signers[scheme]!(first, body, AT)), { secret: 0 }, scheme)
    t.same(verdict(scheme, signers[scheme]!(second, body, AT)), { secret: 1 }, scheme)
    t.match(verdict(scheme, signers[scheme]!(second, body, AT), { keys: [first] }), { reason: 'no_match' }, 'one that no longer counts')
    t.match(verdict(scheme, signers[scheme]!(first, body, AT), { keys: [] }), { reason: 'no_match' }, 'none at all')
  }
})

t.test('one flipped bit of body or signature is refused', async (t) => {
  const flips = (text: string) => Array.from(text, (character, i) => [1, 2, 32].map((bit) =>
    text.slice(0, i) + String.fromCharCode(character.charCodeAt(0) ^ bit) + text.slice(i + 1))).flat()
  for (const scheme of names) {
    const request = signers[scheme]!(secrets[scheme][0], body, AT)
    const taken: string[] = []
    let tried = 0
    for (const flipped of flips(body)) {
      tried++
      if (isTaken(verdict(scheme, { ...request, body: flipped }))) taken.push(flipped)
    }
    for (const name of Object.keys(request.headers).filter((name) => signed.includes(name))) {
      // Of what Stripe's header holds, the parts that are no signature of ours say nothing.
      const [value = '', rest = ''] = scheme === 'stripe' ? request.headers[name]!.split(/(?=,v0=)/) : [request.headers[name]!]
      for (const flipped of flips(value)) {
        tried++
        if (isTaken(verdict(scheme, { ...request, headers: { ...request.headers, [name]: flipped + rest } }))) taken.push(`${name}: ${flipped}`)
      }
    }
    t.strictSame(taken, [], scheme)
    t.ok(tried > 300, `${tried} requests`)
  }
})

t.test('a signature counts for five minutes, before and after', async (t) => {
  for (const scheme of ['standard', 'stripe', 'slack'] as const) {
    const request = signers[scheme]!(secrets[scheme][0], body, AT)
    for (const at of [AT - 299, AT, AT + 299]) t.ok(isTaken(verdict(scheme, request, { at })), `${scheme} ${at - AT}`)
    t.match(verdict(scheme, request, { at: AT + 301 }), { reason: 'timestamp_too_old' })
    t.match(verdict(scheme, request, { at: AT - 301 }), { reason: 'timestamp_too_new' })
  }
})

t.test('other versions, other forms and other bodies are refused', async (t) => {
  const standard = signers['standard']!(secrets.standard[0], body, AT)
  const [stripe, slack, github, hmac] = (['stripe', 'slack', 'github', 'hmac'] as const).map((scheme) => signers[scheme]!(secrets[scheme][0], body, AT))
  const withHeader = (request: Signed, name: string, change: (value: string) => string): Signed =>
    ({ ...request, headers: { ...request.headers, [name]: change(request.headers[name]!) } })
  const plain = standard.headers['webhook-signature']!.slice(3)
  const wrong: Array<[SignatureScheme, Signed]> = [
    ['standard', withHeader(standard, 'webhook-signature', () => `v2,${plain}`)],
    ['standard', withHeader(standard, 'webhook-signature', () => `v1a,${plain}`)],
    ['standard', withHeader(standard, 'webhook-signature', () => plain)],
    ['standard', withHeader(standard, 'webhook-signature', (value) => value.replace(/=+$/, ''))],
    ['standard', withHeader(standard, 'webhook-signature', (value) => `${value}=`)],
    ['standard', withHeader(standard, 'webhook-signature', () => 'v1,')],
    ['standard', withHeader(standard, 'webhook-signature', () => Array(9).fill(`v1,${plain}`).join(' '))],
    ['standard', withHeader(standard, 'webhook-timestamp', (value) => `${value}abc`)],
    ['standard', withHeader(standard, 'webhook-timestamp', (value) => `0${value}`)],
    ['standard', withHeader(standard, 'webhook-timestamp', () => '')],
    ['standard', withHeader(standard, 'webhook-id', (value) => `${value}.1`)],
    ['standard', withHeader(standard, 'webhook-id', () => '')],
    ['stripe', withHeader(stripe!, 'stripe-signature', (value) => value.replace('v1=', 'v0='))],
    ['stripe', withHeader(stripe!, 'stripe-signature', (value) => `t=1,${value}`)],
    ['stripe', withHeader(stripe!, 'stripe-signature', (value) => value.replace(/t=\d+,/, ''))],
    ['slack', withHeader(slack!, 'x-slack-signature', (value) => value.replace('v0=', 'v1='))],
    ['slack', withHeader(slack!, 'x-slack-request-timestamp', () => 'soon')],
    ['slack', withHeader(slack!, 'x-slack-request-timestamp', () => '')],
    ['github', withHeader(github!, 'x-hub-signature-256', (value) => value.toUpperCase())],
    ['github', withHeader(github!, 'x-hub-signature-256', (value) => value.slice('sha256='.length))],
    ['github', { body, headers: { 'x-hub-signature': 'sha1=0' } }],
    ['hmac', withHeader(hmac!, 'x-signature', (value) => `sha256=${value}`)]
  ]
  for (const [scheme, request] of wrong) t.notOk(isTaken(verdict(scheme, request)), `${scheme} ${JSON.stringify(request.headers)}`)
  for (const scheme of names) {
    t.match(verdict(scheme, { body, headers: {} }), { reason: 'missing_header' }, scheme)
    const request = signers[scheme]!(secrets[scheme][0], body, AT)
    for (const other of [JSON.stringify(JSON.parse(body), null, 2), `${body}\n`, ` ${body}`, '', '{}']) {
      t.notOk(isTaken(verdict(scheme, { ...request, body: other })), `${scheme} ${other}`)
    }
    // An attacker's guess at a secret that is not set.
    const guess = signers[scheme === 'standard' ? 'github' : scheme]!('', body, AT)
    t.notOk(isTaken(verdict(scheme, guess)), `${scheme}, an empty secret`)
  }
  const several = withHeader(standard, 'webhook-signature', (value) => `v1,AAAA v2,x ${value}`)
  t.ok(isTaken(verdict('standard', several)), 'one of several is enough')
})

t.test('the examples of the senders\' own documents', async (t) => {
  t.same(verify(of('github'), ['It\'s a Secret to Everybody'], {
    headers: { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' }, body: Buffer.from('Hello, World!')
  }, 0), { secret: 0 }, 'GitHub')
  const slackBody = 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA' +
    '&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554' +
    '%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  t.same(verify(of('slack'), ['8f742231b10e8888abcd99yyyzzz85a5'], {
    headers: {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503'
    },
    body: Buffer.from(slackBody)
  }, 1_531_420_618_000), { secret: 0 }, 'Slack')
})

t.test('a plain HMAC may stand in any header, in base64, behind a prefix', async (t) => {
  const scheme = schemeOf({ scheme: 'hmac', hmac: { header: 'X-Shop-Hmac', encoding: 'base64', prefix: 'v=' } })
  const signature = createHmac('sha256', 'a plain secret of sixteen').update(body).digest('base64')
  const of = (value: string) => verify(scheme, ['a plain secret of sixteen'], { headers: { 'x-shop-hmac': value }, body: Buffer.from(body) }, 0)
  t.same(of(`v=${signature}`), { secret: 0 })
  t.match(of(signature), { reason: 'no_match' })
})

t.test('who knows the secret is told what was signed instead', async (t) => {
  const hint = (signedBody: string, sent: string) => {
    const { headers } = signers['github']!(secrets.github[0], signedBody, AT)
    return hintOf(of('github'), secrets.github, { headers, body: Buffer.from(sent) })
  }
  t.match(hint('{"a":1}', '{"a":1}\n'), /without the line break/)
  t.match(hint('{"a":1}\n', '{"a":1}'), /with a line break/)
  t.match(hint('{"a":1}', '{ "a": 1 }'), /without white space/)
  t.match(hint('{\n  "a": 1\n}', '{"a":1}'), /indented/)
  t.match(hint('', '{"a":1}'), /empty body/)
  t.equal(hint('{"a":1}', '{"a":2}'), undefined)
  t.equal(hint('{"a":1}', 'no JSON'), undefined)
  t.equal(hintOf(of('github'), secrets.github, { headers: {}, body: Buffer.from('') }), undefined)
})
