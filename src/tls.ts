import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { ConfigError, type Config } from './config.ts'

type Tls = Required<Pick<SecureContextOptions, 'cert' | 'key' | 'minVersion'>>

function fileOf (name: 'TLS_CERT' | 'TLS_KEY', path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ConfigError(`${name} cannot be used (${(error as NodeJS.ErrnoException).code}). It is the path of a PEM file.`)
  }
}

/** What TLS is served with. Undefined: it is not. Throws `ConfigError`. */
export function readTls ({ TLS_CERT, TLS_KEY }: Config): Tls | undefined {
  if (TLS_CERT === undefined && TLS_KEY === undefined) return undefined
  if (TLS_CERT === undefined) throw new ConfigError('TLS_CERT must be set where TLS_KEY is.')
  if (TLS_KEY === undefined) throw new ConfigError('TLS_KEY must be set where TLS_CERT is.')
  const tls: Tls = { cert: fileOf('TLS_CERT', TLS_CERT), key: fileOf('TLS_KEY', TLS_KEY), minVersion: 'TLSv1.2' }
  try {
    createSecureContext(tls)
  } catch {
    throw new ConfigError('TLS_CERT and TLS_KEY cannot be used: they are no certificate in PEM and its key without a passphrase.')
  }
  return tls
}
