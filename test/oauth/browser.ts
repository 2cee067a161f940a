/** Where browsers find Parley in these tests, whatever port it really listens on. */
export const publicUrl = 'https://parley.example'

export const callbackOf = (provider: string) => `${publicUrl}/api/auth/oauth/${provider}/callback`

/** What a browser does: it keeps cookies and is sent from page to page. */
export class Browser {
  readonly #parleyUrl: string
  readonly #cookies = new Map<string, Map<string, string>>()

  constructor (parleyUrl: string) {
    this.#parleyUrl = parleyUrl
  }

  /** Asks for a page, or sends a form; is not sent on. */
  async visit (address: string, form?: Record<string, string>): Promise<Response> {
    const url = new URL(address, publicUrl)
    const cookies = this.cookiesOf(url.origin)
    const response = await fetch(url.origin === publicUrl ? this.#parleyUrl + url.pathname + url.search : url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form) })
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (value === '') cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    return response
  }

  cookiesOf (origin: string): Map<string, string> {
    const cookies = this.#cookies.get(origin) ?? new Map<string, string>()
    this.#cookies.set(origin, cookies)
    return cookies
  }

  /** Logs in and consents on the pages of a provider, or refuses to, until it sends the browser back. Answers where. */
  async logIn (address: string, login: string | undefined): Promise<string> {
    for (let url = address; ;) {
      if (url.startsWith(publicUrl)) return url
      let response = await this.visit(url)
      if (response.status === 200) {
        const page = await response.text()
        const [, action] = /action="([^"]+)"/.exec(page)!
        const [, prompt] = /name="prompt" value="(\w+)"/.exec(page)!
        response = await (login === undefined ? this.visit(`${action!}/abort`) : this.visit(action!, { prompt: prompt!, login, password: 'x' }))
      }
      const location = response.headers.get('location')
      if (location === null) throw new Error(`${url} answers ${response.status}: ${await response.text()}`)
      url = new URL(location, url).href
    }
  }
}
