// Plain JavaScript, so that a Node which cannot run TypeScript can still say so.
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 2)) {
  process.stderr.write(`Parley needs Node 24.2 or newer; this is ${process.version}. "npm ci" with dev dependencies brings a fitting one.\n`)
  process.exitCode = 1
} else {
  await import('./server.ts')
}
