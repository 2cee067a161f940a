import neostandard, { plugins } from 'neostandard'

const tseslint = plugins['typescript-eslint']

/**
 * The walls between the rooms: what a room must not import. test/walls.test.ts scans the same walls by another road, so
 * that neither this file nor that test can be loosened alone.
 */
function wall (files, patterns, ignores = []) {
  return {
    files,
    ignores,
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] }
  }
}

const driver = { regex: '^mongodb$', message: 'The driver is used in src/store/ and plugins/mongo.ts only.' }
const httpClient = { regex: '^(undici|axios|got|node:https?)$', allowTypeImports: true, message: 'HTTP goes out from src/llm/, and from src/outgoing/ to what tenants name.' }
const engine = { regex: '^(lmdb|mingo|bson)', message: 'The embedded engine is used in src/embedded-mongo/ only.' }
const redis = { regex: '^ioredis$', message: 'Redis is used in src/bus/ only.' }
const mail = { regex: '^nodemailer$', message: 'Mail is sent in src/mail/ only.' }
const openid = { regex: '^openid-client$', message: 'Logins at other providers belong in src/oauth/.' }
const framework = { regex: '^@?fastify', message: 'The core does not know the framework.' }
const edge = { regex: '(^|/)(routes|plugins)/', message: 'The core does not import the edge or the adapters.' }

export default [
  ...neostandard({ ts: true, ignores: ['node_modules/**', '.tap/**', 'coverage/**', 'test/clients/*/**', 'sdk/*/dist/**', 'sdk/*/src/generated/**'] }),
  ...tseslint.configs.recommendedTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A schema and its type share their name; the compiler itself refuses real twins.
      '@typescript-eslint/no-redeclare': 'off',
      'no-void': ['error', { allowAsStatement: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }]
    }
  },
  {
    files: ['test/**/*.ts'],
    // tap's t.test returns a promise that the runner itself awaits.
    rules: { '@typescript-eslint/no-floating-promises': 'off' }
  },
  {
    files: ['sdk/**/*.ts'],
    // Its types are there when it has been built; its compiler knows them.
    ...tseslint.configs.disableTypeChecked,
    languageOptions: { parserOptions: { projectService: false } }
  },
  wall(['schemas/**/*.ts'], [{ regex: '^(?!@sinclair/typebox|\\./)', message: 'Schemas import TypeBox and each other.' }]),
  wall(['routes/**/*.ts'], [
    driver, httpClient, engine, redis, mail, openid,
    { regex: '(^|/)plugins/', message: 'A route uses decorators, not the plugins behind them.' },
    { regex: '/src/(?!errors\\.ts$)', message: 'Of the core, a route imports src/errors.ts only.' }
  ]),
  wall(['plugins/**/*.ts'], [driver, httpClient, engine, redis, mail, openid, { regex: '(^|/)routes/', message: 'Adapters do not import the edge.' }], ['plugins/mongo.ts']),
  wall(['plugins/mongo.ts'], [httpClient, engine, redis, mail, openid, { regex: '(^|/)routes/', message: 'Adapters do not import the edge.' }]),
  wall(['src/**/*.ts'], [driver, httpClient, engine, redis, mail, openid, framework, edge], [
    'src/app.ts', 'src/server.ts', 'src/openapi.ts', 'src/bus/**', 'src/mail/**', 'src/oauth/**', 'src/store/**', 'src/llm/**',
    'src/outgoing/**', 'src/embedded-mongo/**', 'src/mistral-sim/**'
  ]),
  wall(['src/bus/**/*.ts'], [driver, httpClient, engine, mail, openid, framework, edge]),
  wall(['src/mail/**/*.ts'], [driver, httpClient, engine, redis, openid, framework, edge]),
  wall(['src/oauth/**/*.ts'], [driver, httpClient, engine, redis, mail, framework, edge]),
  wall(['src/store/**/*.ts'], [httpClient, engine, redis, mail, openid, framework, edge]),
  wall(['src/llm/**/*.ts'], [driver, engine, redis, mail, openid, framework, edge]),
  wall(['src/outgoing/**/*.ts'], [
    driver, { ...httpClient, regex: '^(axios|got|node:https?)$' }, engine, redis, mail, openid, framework, edge,
    { regex: '^\\.\\./', message: 'The guarded client knows nothing of Parley.' }
  ]),
  wall(['src/embedded-mongo/**/*.ts'], [
    driver, httpClient, redis, mail, openid, framework, edge,
    {
      regex: '^(\\.\\./)+(schemas|auth|bus|chat|chatbots|llm|mistral-sim|sessions|store|app\\.ts|config\\.ts)(/|$)',
      message: 'The embedded store knows nothing of Parley.'
    }
  ]),
  wall(['sdk/**/*.ts'], [{ regex: '^(?!eventsource-parser$|\\./)', message: 'The client stands alone.' }]),
  wall(['src/mistral-sim/**/*.ts'], [driver, engine, redis, mail, openid, framework, edge, { regex: '/(bus|chat|store|llm|embedded-mongo)/', message: 'The simulator shares nothing with what it tests.' }])
]
