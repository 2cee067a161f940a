import { parseArgs } from 'node:util'
import { loadConfig } from '../config.ts'
import { hasStore } from '../embedded-mongo/storage/copies.ts'
import { startFailure } from '../start-failure.ts'
import { refuseUnfinishedRestore } from '../store/backup/unfinished.ts'
import { type Connection } from '../store/connection.ts'
import { Migrations, type StepStatus } from '../store/migrations/migrations.ts'
import { openStore } from '../store/store.ts'
import { connected, embedded, type Place } from '../store-place.ts'

const usage = `npm run migrate               brings the data up to what this version expects
npm run migrate -- --status   tells what was done to them, and what is to be done
npm run migrate -- --dry-run  tells what is to be done, and to how many documents

The store is that of the server: MONGODB_URI and MONGODB_DATABASE, or DATA_DIR, where no server may run meanwhile.
`

type Environment = Readonly<Record<string, string | undefined>>

/** Does it with a database, and says how it went as it goes. */
type Task = (connection: Connection, say: (line: string) => void) => Promise<void>

function statusLine ({ id, doneAt, byVersion, ms }: StepStatus): string {
  if (!doneAt) return `${id}: to be done`
  return `${id}: done at ${doneAt.toISOString()}${byVersion === undefined ? '' : ` by version ${byVersion} in ${ms} ms`}`
}

const tellStatus: Task = async ({ db }, say) => {
  for (const step of await new Migrations(db).status()) say(statusLine(step))
}

const tellPending: Task = async ({ db }, say) => {
  const migrations = new Migrations(db)
  const pending = await migrations.pending()
  await refuseUnfinishedRestore(db)
  for (const step of pending) say(`${step.id}: would change ${await migrations.count(step)} documents of ${step.collection}`)
  if (pending.length === 0) say('the data is up to date')
}

const migrate: Task = async ({ db }, say) => {
  await openStore(db, { tell: say })
  say('the data is up to date')
}

async function withStore (place: Place, work: (connection: Connection) => Promise<void>): Promise<void> {
  if (place.MONGODB_URI !== undefined) await connected(place.MONGODB_URI, place, work)
  else await embedded(place.DATA_DIR, place, work)
}

/** Does what `npm run migrate` is asked for, and answers the code that it ends with. */
export async function runCommand (args: string[], env: Environment, say: (line: string) => void, complain: (line: string) => void): Promise<0 | 1 | 2> {
  let asked: { status?: boolean, 'dry-run'?: boolean }
  try {
    asked = parseArgs({ args, options: { status: { type: 'boolean' }, 'dry-run': { type: 'boolean' } } }).values
    if (asked.status && asked['dry-run']) throw new TypeError('Either --status or --dry-run.')
  } catch (error) {
    complain(`${(error as Error).message}\n\n${usage}`)
    return 2
  }
  try {
    const place = loadConfig(env)
    const task = asked.status ? tellStatus : asked['dry-run'] ? tellPending : migrate
    // A store would be made.
    if (task !== migrate && place.MONGODB_URI === undefined && !hasStore(place.DATA_DIR)) throw new Error(`there is no embedded store in ${place.DATA_DIR}`)
    await withStore(place, async (connection) => await task(connection, say))
    return 0
  } catch (error) {
    complain(startFailure(error, 'the migration failed'))
    return 1
  }
}
