import { ConfigError } from './config.ts'

const variablesOf: ReadonlyArray<readonly [where: (error: NodeJS.ErrnoException) => boolean, names: string]> = [
  [({ syscall }) => syscall === 'listen' || syscall === 'getaddrinfo', 'PORT or HOST'],
  [({ name }) => name.startsWith('Mongo'), 'MONGODB_URI'],
  // Of an error in the store's thread, only the message arrives.
  [({ message }) => /\b(mkdir|open) '/.test(message), 'DATA_DIR']
]

/** Why something failed, in one line for whoever started it; where a variable is to blame, the line names it. */
export function startFailure (error: unknown, what = 'Parley cannot start'): string {
  if (error instanceof ConfigError) return error.message
  const { message } = error as Error
  const [, names] = variablesOf.find(([where]) => where(error as NodeJS.ErrnoException)) ?? []
  const line = names === undefined ? `${what}: ${message}` : `${names} cannot be used (${message}).`
  return line.replaceAll(/\s+/g, ' ')
}
