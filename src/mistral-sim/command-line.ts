import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { checkScript } from './faults/check.ts'
import { type ScriptEntry } from './faults/schema.ts'
import { type Cadence, PartialCadence } from './http/cadence.ts'
import { type Limits } from './limiter/limits.ts'
import { type SimOptions } from './options.ts'
import { inOneLine } from './validation/problem-text.ts'
import { validator } from './validation/validator.ts'

/** The port when nothing else is said. */
export const DEFAULT_PORT = 4010

/** What the command was told. */
export interface Command {
  options: SimOptions
  script: ScriptEntry[]
  help: boolean
}

interface Option {
  /** What stands for the value in the help; absent: the option takes none. */
  value?: string
  help: string
  set (command: Command, text: string): void
}

const OPTIONS: Record<string, Option> = {
  port: {
    value: 'N',
    help: `port to listen on, default $SIM_PORT or ${DEFAULT_PORT}; 0 takes a free one`,
    set: ({ options }, text) => { options.port = wholeNumber(text, 65535) }
  },
  keys: {
    value: 'A,B',
    help: 'the API keys that are taken, default: all',
    set: ({ options }, text) => { options.keys = text.split(',') }
  },
  'quota-keys': {
    value: 'A,B',
    help: 'keys whose plan is exhausted: another 401',
    set: ({ options }, text) => { options.quotaKeys = text.split(',') }
  },
  'not-in-use': {
    value: 'A,B',
    help: 'models that are answered with "currently not in use"',
    set: ({ options }, text) => { options.notInUse = text.split(',') }
  },
  'problem-shape': {
    value: 'FORM',
    help: 'form of the 422: detail (default), wrapped, string',
    set: ({ options }, text) => { options.problemShape = oneOf(text, 'detail', 'wrapped', 'string') }
  },
  'requests-per-second': {
    value: 'N',
    help: 'limit of each key and model',
    set: (command, text) => limit(command, { requestsPerSecond: wholeNumber(text) })
  },
  'requests-per-minute': {
    value: 'N',
    help: 'limit of each key and model',
    set: (command, text) => limit(command, { requestsPerMinute: wholeNumber(text) })
  },
  'tokens-per-minute': {
    value: 'N',
    help: 'limit of each key and model; max_tokens is reserved',
    set: (command, text) => limit(command, { tokensPerMinute: wholeNumber(text) })
  },
  'limit-headers': {
    value: 'KIND',
    help: 'headers that tell what is left: new (default), old, both, none',
    set: (command, text) => limit(command, { headers: oneOf(text, 'new', 'old', 'both', 'none') })
  },
  'limit-body': {
    value: 'FORM',
    help: 'form of the 429: mistral (default), gateway',
    set: (command, text) => limit(command, { bodyShape: oneOf(text, 'mistral', 'gateway') })
  },
  'retry-after': {
    value: 'KIND',
    help: 'in the 429: none (default), seconds, date',
    set: (command, text) => limit(command, { retryAfter: oneOf(text, 'none', 'seconds', 'date') })
  },
  cadence: {
    value: 'JSON',
    help: 'pace and packing of streams, as {"chunkDelayMs":20}',
    set: ({ options }, text) => { options.cadence = cadenceIn(parsed(text)) }
  },
  script: {
    value: 'FILE',
    help: 'a script of faults, as the body of POST /__sim/script',
    set: (command, text) => { command.script = checkScript(scriptIn(parsed(readFileSync(text, 'utf8')))) }
  },
  seed: {
    value: 'N',
    help: 'decides the random faults of a script, default 1',
    set: ({ options }, text) => { options.seed = wholeNumber(text) }
  },
  'header-faults': {
    help: 'a request may choose its fault: x-sim-fault: {"status":{"code":503}}',
    set: ({ options }) => { options.headerFaults = true }
  },
  strict: {
    help: 'ends with an error if a request did not fit its schema',
    set: ({ options }) => { options.strict = true }
  },
  help: {
    help: 'shows this',
    set: (command) => { command.help = true }
  }
}

function limit ({ options }: Command, limits: Limits): void {
  options.limits = { ...options.limits, ...limits }
}

/** Reads the arguments of the command. Throws an error whose message names the option. */
export function readCommandLine (args: string[], env: Record<string, string | undefined>): Command {
  const command: Command = { options: { port: portOf(env.SIM_PORT), control: true }, script: [], help: false }
  for (const [name, value] of Object.entries(valuesOf(args))) {
    withName(`--${name}`, () => OPTIONS[name]?.set(command, String(value)))
  }
  return command
}

/** A line for each option. */
export function optionsHelp (): string {
  return Object.entries(OPTIONS)
    .map(([name, { value, help }]) => `  ${`--${name}${value === undefined ? '' : ` ${value}`}`.padEnd(26)}${help}`)
    .join('\n')
}

function valuesOf (args: string[]): Record<string, unknown> {
  const options = Object.fromEntries(Object.entries(OPTIONS).map(([name, { value }]) =>
    [name, { type: value === undefined ? 'boolean' as const : 'string' as const, ...(name === 'help' && { short: 'h' }) }]))
  return parseArgs({ args, options }).values
}

function portOf (text: string | undefined): number {
  return text === undefined || text === '' ? DEFAULT_PORT : withName('SIM_PORT', () => wholeNumber(text, 65535))
}

function withName<T> (name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new Error(`${name} ${error instanceof Error ? error.message : String(error)}`)
  }
}

function wholeNumber (text: string, max = 1_000_000_000): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : NaN
  if (!(number <= max)) throw new Error(`must be a number from 0 to ${max}, not "${text}"`)
  return number
}

function oneOf<const T extends string> (text: string, ...values: T[]): T {
  const found = values.find((value) => value === text)
  if (found === undefined) throw new Error(`must be one of ${values.join(', ')}, not "${text}"`)
  return found
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('must be JSON')
  }
}

function cadenceIn (value: unknown): Partial<Cadence> {
  const problems = validator(PartialCadence)(value)
  if (problems.length > 0) throw new Error(`is wrong: ${inOneLine('cadence', problems)}`)
  return value as Partial<Cadence>
}

function scriptIn (value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'script' in value ? value.script : value
}
