import { type PromptMessage } from '../llm/provider.ts'
import { estimateTokens } from '../llm/usage.ts'
import { type ChatbotSettings } from '../store/chatbots.ts'
import { type Message } from '../store/messages.ts'

// The smallest window of the chat models is 128k tokens; this leaves room for the reply and for the error of the estimate.
const PROMPT_TOKENS = 100_000

const languages = new Intl.DisplayNames(['en'], { type: 'language' })

function systemText ({ purpose, domain, tone, instructions }: ChatbotSettings): string {
  return [
    `You are a chatbot. Your purpose: ${purpose}`,
    domain.length > 0 && `Your field: ${domain.join(', ')}. Stay within it.`,
    tone.style !== '' && `Your tone: ${tone.style}.`,
    `Reply in ${languages.of(tone.language)} (${tone.language}), unless the user asks for another language.`,
    instructions !== '' && `Instructions:\n${instructions}`
  ].filter((part) => part !== false).join('\n\n')
}

/** Failed and interrupted replies stay out: they are no part of what was said. */
const wasSaid = ({ role, status, content }: Message) =>
  content !== '' && (role === 'user' || status === 'completed' || status === 'stopped')

/**
 * What the model is given: the system text, the history in the order of `seq`, the new message. Where that is more than
 * fits, the oldest messages are left out.
 */
export function buildPrompt (chatbot: ChatbotSettings, history: Message[], userMessage: Message): PromptMessage[] {
  const system: PromptMessage = { role: 'system', content: systemText(chatbot) }
  const newest: PromptMessage = { role: 'user', content: userMessage.content }
  let budget = PROMPT_TOKENS - estimateTokens(system.content) - estimateTokens(newest.content)
  const said: PromptMessage[] = []
  for (const message of history.filter(wasSaid).reverse()) {
    budget -= estimateTokens(message.content)
    if (budget < 0) break
    said.push({ role: message.role === 'user' ? 'user' : 'assistant', content: message.content })
  }
  return [system, ...said.reverse(), newest]
}
