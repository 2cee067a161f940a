# syntax=docker/dockerfile:1

# What the image runs on: the same Debian as the stage that installs, without a shell or packages.
ARG NODE_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS sources
WORKDIR /app
COPY package.json package-lock.json LICENSE ./
COPY schemas schemas
COPY plugins plugins
COPY routes routes
COPY src src

FROM ${NODE_IMAGE} AS install
WORKDIR /app
COPY package.json package-lock.json ./
# The image brings its own Node, so the one from the dev dependencies stays out. A library lists a TypeScript that it never loads, and
# maps and declarations are for those who write programs.
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/@apiture/openapi-down-convert/node_modules/typescript \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
  && npm sbom --sbom-format cyclonedx --omit dev --package-lock-only > sbom.cdx.json \
  && mkdir /data

# `docker compose --profile dev up`: the sources are laid over the ones in here and watched. Needs none of the dev dependencies.
FROM sources AS dev
ENV HOST=0.0.0.0 DATA_DIR=/data
COPY --from=install /app/node_modules node_modules
COPY --from=install --chown=1000:1000 /data /data
USER 1000:1000
VOLUME /data
EXPOSE 3000
CMD ["npm", "run", "dev"]

FROM ${BASE_IMAGE} AS production
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
COPY --from=install /usr/local/bin/node /usr/local/bin/node
COPY --from=install /app/node_modules node_modules
COPY --from=install /app/sbom.cdx.json ./
COPY --from=sources /app ./
COPY deploy/image/health-check.js ./
# The number of the user `node` of other images, to whom volumes may belong already. Nothing but /data is written to.
COPY --from=install --chown=1000:1000 /data /data
USER 1000:1000
VOLUME /data
EXPOSE 3000
# Alive, not ready: who kills what is not ready only makes it worse while the store is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "health-check.js", "/health/live"]
ENTRYPOINT ["node"]
CMD ["src/start.js"]
