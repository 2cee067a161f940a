import { existsSync, readFileSync } from 'node:fs'
import { createOfflineProvider } from '../src/llm/offline/offline-provider.ts'

/** Sends a question to a chatbot with these instructions and returns its reply. */
export type Ask = (instructions: string, question: string) => Promise<string>

/** What a run of the benchmark counted. */
export interface QualityFigures {
  readonly questions: number
  /** Questions whose reply contains a gold answer. */
  readonly hits: number
  /** Mean length of a reply as a share of its instructions, 0 to 1. */
  readonly replyShare: number
  /** Questions that have an answer and got "I don't know". */
  readonly unanswered: number
  /** Questions about something else, and how many of them got "I don't know". */
  readonly unrelated: number
  readonly declined: number
}

interface Paragraph {
  readonly title: string
  readonly text: string
  readonly questions: ReadonlyArray<{ readonly question: string, readonly answers: readonly string[] }>
}

const DATA = new URL('../../shared/data/knowledge-qa.json', import.meta.url)
const UNRELATED_PER_PARAGRAPH = 5
// Asked of a text it has no word of, every chatbot gives its "I don't know".
const UNANSWERABLE = 'Xyzzyx?'
const REQUIRED_PERCENT = 88

/** Asks every question of the paragraphs, and for each paragraph a few about other subjects. */
export async function measureQuality (paragraphs: readonly Paragraph[], ask: Ask): Promise<QualityFigures> {
  let questions = 0
  let hits = 0
  let shares = 0
  let unanswered = 0
  let unrelated = 0
  let declined = 0
  for (const [index, paragraph] of paragraphs.entries()) {
    const dontKnow = await ask(paragraph.text, UNANSWERABLE)
    for (const { question, answers } of paragraph.questions) {
      const reply = await ask(paragraph.text, question)
      questions++
      if (containsAnswer(reply, answers)) hits++
      if (reply === dontKnow) unanswered++
      else shares += reply.length / paragraph.text.length
    }
    for (const question of unrelatedQuestions(paragraphs, index)) {
      unrelated++
      if (await ask(paragraph.text, question) === dontKnow) declined++
    }
  }
  return { questions, hits, replyShare: shares / (questions - unanswered || 1), unanswered, unrelated, declined }
}

/** Runs the benchmark and prints its figures; without the data it says so. True: the reply quality is as required. */
export async function runQuality (ask: Ask = askOffline, data = DATA): Promise<boolean> {
  if (!existsSync(data)) {
    console.log('quality: no ../shared/data/knowledge-qa.json beside the checkout, nothing measured')
    return true
  }
  const { paragraphs } = JSON.parse(readFileSync(data, 'utf8')) as { paragraphs: Paragraph[] }
  const figures = await measureQuality(paragraphs, ask)
  const percent = figures.hits / figures.questions * 100
  console.log(`quality: ${figures.hits}/${figures.questions} replies contain a gold answer, ${percent.toFixed(1)} % ` +
    `(required: ${REQUIRED_PERCENT} %)`)
  console.log(`quality: a reply is ${(figures.replyShare * 100).toFixed(0)} % of its instructions long on average; ` +
    `${figures.unanswered} answerable questions got "I don't know"`)
  console.log(`quality: ${figures.declined}/${figures.unrelated} questions about another subject got "I don't know", ` +
    `${(figures.declined / figures.unrelated * 100).toFixed(1)} %`)
  return percent >= REQUIRED_PERCENT
}

function containsAnswer (reply: string, answers: readonly string[]): boolean {
  const text = reply.toLowerCase()
  return answers.some((answer) => text.includes(answer.toLowerCase()))
}

/** Questions of paragraphs with another title, spread evenly and always the same. */
function unrelatedQuestions (paragraphs: readonly Paragraph[], index: number): string[] {
  const title = paragraphs[index]?.title
  const others = paragraphs.filter((other) => other.title !== title).flatMap((other) => other.questions)
  const step = Math.max(1, Math.floor(others.length / UNRELATED_PER_PARAGRAPH))
  return others.filter((_, position) => position % step === index % step)
    .slice(0, UNRELATED_PER_PARAGRAPH).map(({ question }) => question)
}

const offline = createOfflineProvider()
const caller = { tenantId: 'bench', sessionId: 'session' }

async function askOffline (instructions: string, question: string): Promise<string> {
  const request = { ...caller, messages: [{ role: 'user' as const, content: question }], model: {}, instructions, language: 'en' }
  let reply = ''
  for await (const event of offline.generate(request, { stream: false, signal: new AbortController().signal })) {
    if (event.type === 'text') reply += event.text
  }
  return reply
}

if (import.meta.main) process.exitCode = await runQuality() ? 0 : 1
