import { type PromptMessage } from '../llm/provider.ts'
import { type ChatbotSettings } from '../store/chatbot-settings.ts'
import { type Message } from '../store/messages.ts'

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

function promptMessage ({ role, content }: Message): PromptMessage {
  return { role: role === 'user' ? 'user' : 'assistant', content }
}

/** What the model is given: the system text, the history in the order of `seq`, the new message. */
export function buildPrompt (chatbot: ChatbotSettings, history: Message[], userMessage: Message): PromptMessage[] {
  return [
    { role: 'system', content: systemText(chatbot) },
    ...history.filter(wasSaid).map(promptMessage),
    { role: 'user', content: userMessage.content }
  ]
}
