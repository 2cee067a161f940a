// Asks the server beside it, for images that have no curl: exits with 0 if it answers 200. Plain JavaScript, to start at once.
import { readFileSync } from 'node:fs'
import { get as overHttp } from 'node:http'
import { get as overHttps } from 'node:https'

const { PORT = '3000', TLS_CERT } = process.env
const path = process.argv[2] ?? '/health/live'

// The certificate names the host that others see, not this address.
const [get, options] = TLS_CERT ? [overHttps, { ca: readFileSync(TLS_CERT), checkServerIdentity: () => undefined }] : [overHttp, {}]

get({ host: '127.0.0.1', port: PORT, path, timeout: 4000, ...options }, ({ statusCode }) => {
  process.exit(statusCode === 200 ? 0 : 1)
}).on('timeout', () => process.exit(1)).on('error', () => process.exit(1))
