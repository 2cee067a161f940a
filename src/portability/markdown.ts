import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'

const roles: Record<Message['role'], string> = { user: 'User', bot: 'Bot' }

/** Text that is shown as it is, whatever it would mean in Markdown. */
function literally (text: string): string {
  return text.replace(/[\\`*_{}[\]()<>#+\-.!|~&:=]/g, '\\$&')
}

/** In a quote, whatever it is: no heading, fence or list in it reaches beyond its end. */
function quoted (text: string): string {
  return text.split(/\r\n|\r|\n/).map((line) => line === '' ? '>' : `> ${line}`).join('\n')
}

/** On one line. */
const inline = (text: string) => literally(text.replace(/\s+/g, ' ').trim())

/** What stands above the messages of a conversation. */
export function markdownHead ({ id, title, userId, channel, startedAt }: Session): string {
  const facts = [['Session', id], ['User', userId], ['Channel', channel], ['Started', startedAt.toISOString()]]
  const list = facts.flatMap(([name, value]) => typeof value === 'string' ? [`- ${name}: ${inline(value)}`] : [])
  return `# ${title === null || title.trim() === '' ? 'Conversation' : inline(title)}\n\n${list.join('\n')}\n`
}

/** A message: what the user wrote literally, line by line; what the bot wrote as the Markdown that it is. */
export function markdownMessage ({ role, seq, content, timestamp, status }: Message): string {
  const isWhole = status === 'completed'
  const heading = `\n## ${seq}\\. ${roles[role]}, ${timestamp.toISOString()}${isWhole ? '' : ` (${status})`}\n`
  if (content === '') return heading
  const text = role === 'bot' ? content : content.split(/\r\n|\r|\n/).map((line) => literally(line.trim())).join('  \n')
  return `${heading}\n${quoted(text)}\n`
}
