import { readFileSync } from 'node:fs'
import { type TSchema } from '@sinclair/typebox'
import t from 'tap'
import { optionsHelp } from '../../src/mistral-sim/command-line.ts'
import { checkScript } from '../../src/mistral-sim/faults/check.ts'
import { Fault } from '../../src/mistral-sim/faults/schema.ts'
import { DEFAULT_CADENCE } from '../../src/mistral-sim/http/cadence.ts'
import { type Fault as FaultValue, type SimOptions, startSim } from '../../src/mistral-sim/index.ts'
import { simFor } from './support.ts'

const guide = readFileSync(new URL('../../docs/mistral-sim.md', import.meta.url), 'utf8')

/** Every fixed string of a schema. */
function literals (schema: TSchema): string[] {
  if (typeof schema.const === 'string') return [schema.const]
  return [schema.anyOf, schema.items, schema.properties].flatMap((inner: unknown) =>
    typeof inner === 'object' && inner !== null ? Object.values(inner as Record<string, TSchema>).flatMap(literals) : [])
}

t.test('the guide has a working example of every fault', async (t) => {
  const section = guide.slice(guide.indexOf('### Faults'), guide.indexOf('### Forms'))
  const faults = [...section.matchAll(/`(\{"[^`]*\})`/g)].map(([, json = '']) => JSON.parse(json) as object)
  for (const fault of faults) t.ok(checkScript([{ fault }]), JSON.stringify(fault))
  const shown = new Set(faults.flatMap(Object.keys))
  for (const name of Object.keys(Fault.properties)) t.ok(shown.has(name), name)
  for (const word of literals(Fault)) t.match(guide, new RegExp(`[\`"]${word}[\`"]`), word)
})

t.test('the scripts of the guide can be used', async (t) => {
  const sim = await simFor(t)
  const scripts = [...guide.matchAll(/\{"script": (\[[\s\S]*?\])\}['\n]/g)].map(([, script = '']) => script)
  t.equal(scripts.length, 3)
  for (const script of scripts) sim.script(JSON.parse(script) as Array<{ fault: FaultValue }>)
})

t.test('the guide names every option, every part of a cadence and every field of a record', async (t) => {
  for (const name of [...Object.keys(DEFAULT_CADENCE), 'toolStyle']) t.match(guide, `\`${name}\``, name)
  const options: Required<{ [Name in keyof SimOptions]: true }> = {
    port: true,
    keys: true,
    quotaKeys: true,
    notInUse: true,
    windows: true,
    limits: true,
    problemShape: true,
    epoch: true,
    tokenizer: true,
    cadence: true,
    control: true,
    headerFaults: true,
    seed: true,
    strict: true,
    clock: true
  }
  for (const name of Object.keys(options)) t.match(guide, `\`${name}\``, name)
  const limits = [...optionsHelp().matchAll(/--([\w-]*(?:limit|per|retry)[\w-]*)/g)]
  t.equal(limits.length, 6)
  for (const [option] of limits) t.match(guide, `\`${option}\``, option)
  const sim = await startSim()
  await (await fetch(`${sim.url}/v1/models`)).text()
  for (const field of Object.keys(sim.requests()[0] ?? {})) t.match(guide, `\`${field}\``, field)
  await sim.close()
})
