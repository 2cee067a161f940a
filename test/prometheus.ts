import { spawnSync } from 'node:child_process'

/** Why tests with a real Prometheus are skipped; false where there is one. */
export const withoutPrometheus = spawnSync('promtool', ['--version']).status !== 0 && 'there is no prometheus and no promtool'

const operators = new Set(['by', 'without', 'on', 'ignoring', 'and', 'or', 'unless', 'offset', 'bool', 'group_left', 'group_right'])

/** The names of metrics in an expression. */
export function metricsIn (expr: string): string[] {
  const bare = expr.replace(/\{[^}]*\}/g, '').replace(/\[[^\]]*\]/g, '').replace(/\b(by|without)\s*\([^)]*\)/g, '').replace(/\boffset \w+/g, '')
  return [...bare.matchAll(/(?<![\w:])[a-z_][\w:]*(?!\w|:|\s*\()/gi)].map(([name]) => name).filter((name) => !operators.has(name))
}
