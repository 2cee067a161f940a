// A conversation by the generated client.
import {
  Configuration, ConfigurationsApi, MessageFailedEventFromJSON, MessagesApi, ProblemFromJSON, ResponseError, SessionsApi
} from './client'

declare const process: { env: { PARLEY_URL: string, PARLEY_KEY: string, PARLEY_EVENT: string } }

function must (holds: boolean, what: string, value?: unknown): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(value)}`)
}

async function converse (): Promise<void> {
  const configuration = new Configuration({ basePath: process.env.PARLEY_URL, accessToken: process.env.PARLEY_KEY })
  const configs = new ConfigurationsApi(configuration)
  const sessions = new SessionsApi(configuration)
  const messages = new MessagesApi(configuration)

  const config = await configs.createConfig({
    chatbotConfigInput: {
      purpose: 'Answer questions about orders.', instructions: 'Orders are delivered within three days.', tone: { language: 'en' }
    }
  })
  must(config.version === 1, 'no configuration', config)
  const session = await sessions.createSession({ sessionInput: { configId: config.id, metadata: { cart: { items: 2 } } } })
  must(session.userId === null && session.startedAt instanceof Date, 'no session', session)

  const messageInput = { message: 'When are orders delivered?' }
  const exchange = await messages.sendMessage({ id: session.id, messageInput })
  must(exchange.reply.includes('three days') && exchange.botMessage.status === 'completed', 'no reply', exchange)

  const history = await messages.listMessages({ id: session.id })
  must(history.data.map(({ role }) => role).join() === 'user,bot' && !history.hasMore, 'no history', history)
  const { data } = await configs.listConfigs({ limit: 100 })
  must(data.some(({ id }) => id === config.id), 'no list', data)

  const failure: unknown = await messages.sendMessage({ id: '0'.repeat(24), messageInput }).catch((error: unknown) => error)
  if (!(failure instanceof ResponseError)) throw new Error('there is no such session')
  const problem = ProblemFromJSON(await failure.response.json())
  must(problem.code === 'not_found' && problem.requestId !== '', 'not a problem that one can read', problem)

  const event = MessageFailedEventFromJSON(JSON.parse(process.env.PARLEY_EVENT))
  must(event.data.message.status === 'failed', 'not an event that one can read', event)
}

void converse()
