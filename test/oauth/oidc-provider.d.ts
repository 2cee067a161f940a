/** What the tests use of it; the package has no types of its own. */
declare module 'oidc-provider' {
  import { type IncomingMessage, type ServerResponse } from 'node:http'

  export default class Provider {
    constructor (issuer: string, configuration: object)
    callback (): (request: IncomingMessage, response: ServerResponse) => Promise<void>
  }
}
