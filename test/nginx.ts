import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, open, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Test } from 'tap'
import { freePort } from './free-port.ts'
import { temporaryFolder } from './helper.ts'

// Debian's is not in the path of everybody.
const PATH = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`
const shipped = new URL('../deploy/nginx/', import.meta.url).pathname

/** Why tests with a real nginx are skipped; false where there is one. */
export const withoutNginx = spawnSync('nginx', ['-v'], { env: { PATH } }).status !== 0 && 'there is no nginx'

export interface Nginx {
  readonly url: string
  /** Its lines of the requests that have been answered. */
  readonly log: () => Promise<Array<Record<string, string>>>
}

/** The proxy as it is shipped, but for where it listens and who is behind it; ended with the test. */
export async function startNginx (test: Test, ports: readonly number[]): Promise<Nginx> {
  const folder = await temporaryFolder(test)
  const port = await freePort()
  const upstream = await readFile(`${shipped}upstream.conf`, 'utf8')
  const [first, ...others] = upstream.match(/^ *server .*\n/gm)!
  const servers = ports.map((port) => first.replace(/server \S+/, `server 127.0.0.1:${port}`)).join('')
  await copyFile(`${shipped}nginx.conf`, `${folder}/nginx.conf`)
  await writeFile(`${folder}/upstream.conf`, others.reduce((text, line) => text.replace(line, ''), upstream).replace(first, servers))
  await writeFile(`${folder}/listen.conf`, `listen 127.0.0.1:${port};\n`)

  // It opens what it writes to once more, which cannot be done with the pipes of a child.
  const output = await open(`${folder}/log`, 'a')
  const child = spawn('nginx', ['-c', `${folder}/nginx.conf`, '-g', `daemon off; pid ${folder}/nginx.pid;`], {
    env: { PATH }, stdio: ['ignore', output.fd, output.fd]
  })
  const closed = once(child, 'close')
  test.teardown(async () => {
    child.kill('SIGTERM')
    await closed
    await output.close()
  })

  const url = `http://127.0.0.1:${port}`
  const written = async () => await readFile(`${folder}/log`, 'utf8')
  while (child.exitCode === null && !await fetch(`${url}/metrics`).then(() => true, () => false)) await delay(20)
  if (child.exitCode !== null) throw new Error(`nginx did not start: ${await written()}`)
  const log = async () => (await written()).split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, string>)
  return { url, log }
}
