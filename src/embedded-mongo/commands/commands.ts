import { type Connection } from '../wire/connection.ts'
import { CommandError, errorReply, toCommandError } from '../errors.ts'
import { type Reply } from '../wire/reply.ts'
import { type Store } from '../wire/server.ts'
import { type Message } from '../wire/wire.ts'
import { bulkWriteCommands } from './bulk-write-command.ts'
import { catalogCommands } from './catalog-commands.ts'
import { handshakeCommands } from './handshake-commands.ts'
import { indexCommands } from './index-commands.ts'
import { queryCommands } from './query-commands.ts'
import { Request, type Command } from '../wire/request.ts'
import { statisticsCommands } from './statistics-commands.ts'
import { writeCommands } from './write-commands.ts'

const COMMANDS: Readonly<Partial<Record<string, Command>>> = {
  ...handshakeCommands,
  ...queryCommands,
  ...writeCommands,
  ...bulkWriteCommands,
  ...indexCommands,
  ...catalogCommands,
  ...statisticsCommands
}

const COUNTERS: Readonly<Record<string, string>> = {
  insert: 'insert', find: 'query', update: 'update', delete: 'delete', getMore: 'getmore'
}

/** Runs a message's command; every failure is an answer. */
export async function runCommand (store: Store, connection: Connection, message: Message): Promise<Reply> {
  const [name = ''] = Object.keys(message.body)
  const counter = COUNTERS[name] ?? 'command'
  store.opcounters[counter] = (store.opcounters[counter] ?? 0) + 1
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (command === undefined) throw new CommandError(59, `no such command: '${name}'`)
    if (message.legacy && !(name in handshakeCommands)) {
      throw new CommandError(352, `Unsupported OP_QUERY command: ${name}`)
    }
    refuseTransactions(message)
    return await command(new Request(store, connection, name, message))
  } catch (error) {
    return errorReply(toCommandError(error))
  }
}

function refuseTransactions ({ body }: Message): void {
  if (body.startTransaction === true || body.autocommit === false) {
    throw new CommandError(20, 'Transaction numbers are only allowed on a replica set member or mongos')
  }
}
