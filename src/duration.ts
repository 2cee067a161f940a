const units: Readonly<Record<string, number>> = { '': 1000, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as `900`, `900s`, `15m`, `12h` or `7d`; a bare number is seconds. NaN: it is none. */
export function durationMs (text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  return count === undefined ? NaN : Number(count) * units[unit!]!
}
