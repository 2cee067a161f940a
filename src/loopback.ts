/** Whether a host, as a URL or a connection string names it, is this machine. */
export function isLoopback (hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname)
}
