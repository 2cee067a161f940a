// Holds a conversation with a server and takes back what it made: node deploy/smoke-test.js https://chat.example.com, with a key of
// the scopes configs:write and sessions:write in PARLEY_API_KEY. Exits with 1 and says why where something is not as it should be.
const [base] = process.argv.slice(2)
const key = process.env.PARLEY_API_KEY
if (!base || !key) {
  process.stderr.write('usage: PARLEY_API_KEY=pk_… node deploy/smoke-test.js <address>\n')
  process.exit(2)
}

async function ask (method, path, body) {
  const answer = await fetch(new URL(path, base), {
    method,
    headers: { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000)
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return text === '' ? {} : JSON.parse(text)
}

async function conversation () {
  await ask('GET', '/health/ready')
  const { version } = await ask('GET', '/health')
  const config = await ask('POST', '/api/configs', { purpose: 'Smoke test.', instructions: 'The door is green.', titles: false, summaries: false })
  try {
    const session = await ask('POST', '/api/sessions', { configId: config.id })
    try {
      const messages = `/api/sessions/${session.id}/messages`
      const { reply } = await ask('POST', messages, { message: 'Which colour has the door?' })
      const { data } = await ask('GET', messages)
      if (!reply || data.length !== 2 || data[1].content !== reply) throw new Error('the history is not what was said')
    } finally {
      await ask('DELETE', `/api/sessions/${session.id}`)
    }
  } finally {
    await ask('DELETE', `/api/configs/${config.id}`)
  }
  return version
}

try {
  process.stdout.write(`Parley ${await conversation()} at ${base} answers\n`)
} catch (error) {
  process.stderr.write(`${error.message}${error.cause ? ` (${error.cause.message})` : ''}\n`)
  process.exit(1)
}
