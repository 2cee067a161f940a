import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, cp, readdir, readFile, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { freePort } from '../free-port.ts'
import { Client, temporaryFolder } from '../helper.ts'

t.setTimeout(300_000)

const root = new URL('../../', import.meta.url).pathname
// What distroless/cc-debian12 takes, in MB.
const BASE_MB = 24

interface Stage { readonly name: string, readonly lines: readonly string[] }

/** The stages of the Dockerfile, with each instruction on one line. */
async function stages (): Promise<Stage[]> {
  const lines = (await readFile(`${root}Dockerfile`, 'utf8')).replace(/\\\n\s*/g, '').split('\n').filter((line) => /^[A-Z]+ /.test(line))
  const stages: Array<{ name: string, lines: string[] }> = []
  for (const line of lines) {
    const name = /^FROM .* AS (\w+)$/.exec(line)?.[1]
    if (name !== undefined) stages.push({ name, lines: [] })
    stages.at(-1)?.lines.push(line)
  }
  return stages
}

/** What a build sees of the checkout. */
async function context (t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  const lines = (await readFile(`${root}.dockerignore`, 'utf8')).trim().split('\n')
  t.equal(lines[0], '*', 'nothing is seen that is not listed')
  // A folder that is let in and closed again only leads to what is let in below it.
  const seen = lines.filter((line) => line.startsWith('!') && !lines.includes(`${line.slice(1)}/*`)).map((line) => line.slice(1))
  for (const path of seen) await cp(root + path, `${folder}/${path}`, { recursive: true })
  return folder
}

async function megabytes (folder: string): Promise<number> {
  const { stdout } = await promisify(execFile)('du', ['-sb', folder])
  return Number(stdout.split('\t')[0]) / 1_000_000
}

/** Every file with the time of its last change. */
async function written (folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return await Promise.all(entries.filter((entry) => entry.isFile()).map(async ({ parentPath, name }) =>
    `${parentPath}/${name} ${(await stat(`${parentPath}/${name}`)).mtimeMs}`))
}

t.test('what the Dockerfile copies and installs serves, writes to nothing but its data, and is small', async (t) => {
  const [seen, app, data] = [await context(t), await temporaryFolder(t), `${await temporaryFolder(t)}/data`]
  const built = new Map((await stages()).map(({ name, lines }) => [name, lines]))
  const copied = (stage: string) => built.get(stage)!.map((line) => /^COPY (?!--)(.+) (\S+)$/.exec(line)).filter((match) => match !== null)

  for (const stage of ['sources', 'production']) {
    for (const [, from, to] of copied(stage)) {
      for (const path of from!.split(' ')) await cp(`${seen}/${path}`, `${app}/${to!.endsWith('/') ? path.split('/').at(-1)! : to!}`, { recursive: true })
    }
  }
  const run = built.get('install')!.find((line) => line.startsWith('RUN '))!.slice(4)
  await promisify(execFile)('sh', ['-ec', run.replace('npm ci', 'npm ci --prefer-offline').replace(' /data', ` ${data}`)], { cwd: app })

  const sbom = JSON.parse(await readFile(`${app}/sbom.cdx.json`, 'utf8')) as { bomFormat: string, components: Array<{ name: string }> }
  t.equal(sbom.bomFormat, 'CycloneDX')
  const names = sbom.components.map(({ name }) => name)
  t.ok(names.includes('fastify') && names.includes('lmdb') && !names.includes('eslint'), 'the bill of materials has what runs')
  await t.rejects(access(`${app}/node_modules/node`), 'the Node of the developers stays out')

  const size = await megabytes(app) + (await stat(process.execPath)).size / 1_000_000 + BASE_MB
  t.comment(`about ${Math.round(size)} MB`)
  t.ok(size < 250, `it takes ${Math.round(size)} MB`)

  const before = await written(app)
  const [key, port] = [newApiKey(), await freePort()]
  const environment = { NODE_ENV: 'production', HOST: '0.0.0.0', PORT: String(port), DATA_DIR: data, BOOTSTRAP_API_KEY: key, MISTRAL_API_KEY: '' }
  const [, entry] = /^CMD \["(.*)"\]$/.exec(built.get('production')!.at(-1)!)!
  const server: ChildProcess = spawn(process.execPath, [entry!], { cwd: app, env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(server, 'close')
  t.teardown(async () => {
    server.kill('SIGKILL')
    await ended
  })
  for await (const line of createInterface(server.stdout!)) {
    if (line.includes('"msg":"serving"')) break
  }
  server.stdout!.resume()

  const client = new Client(`http://127.0.0.1:${port}`, { 'x-api-key': key })
  const smoke = promisify(execFile)(process.execPath, [`${root}deploy/smoke-test.js`, client.url], { env: { PARLEY_API_KEY: key } })
  t.match((await smoke).stdout, /^Parley .* answers\n$/)
  for (const path of ['/openapi.json', '/openapi-3.0.json', '/openapi.yaml', '/docs/', '/metrics']) {
    const answer = await client.fetch(path)
    t.equal(answer.status, 200, path)
    await answer.text()
  }

  const check = /^HEALTHCHECK .* CMD \["node", (.*)\]$/.exec(built.get('production')!.find((line) => line.startsWith('HEALTHCHECK '))!)![1]!
  const healthy = async () => {
    const child = spawn(process.execPath, JSON.parse(`[${check}]`) as string[], { cwd: app, env: environment, stdio: 'inherit' })
    return (await once(child, 'close'))[0] as number
  }
  t.equal(await healthy(), 0)
  server.kill('SIGTERM')
  t.strictSame(await ended, [0, null])
  t.equal(await healthy(), 1)
  t.strictSame(await written(app), before, 'the root file system may be read-only')
})

t.test('the image runs as a user without rights, in production', async (t) => {
  const production = (await stages()).find(({ name }) => name === 'production')!.lines
  t.ok(production.includes('USER 1000:1000'))
  t.match(production.find((line) => line.startsWith('ENV ')), /NODE_ENV=production/)
  t.notOk(production.some((line) => line.startsWith('RUN ')), 'there is no shell to run anything')
})
