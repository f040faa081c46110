// Which parameters stand on the trend, in which order and colour, and what is asked of the hub for them. Pure.

import type { Trend, Value } from './api'
import { PLACES, PRESSURES } from './pick'

export type Hue = 'ecg' | 'pleth' | 'resp' | 'abp' | 'temp' | 'other'

interface Row {
  hue: Hue
  // In order of preference: the first that has readings gets the lane, the others wait among the choices.
  codes: number[]
}

// From above: the three that every bed has, then pressure, temperature, oxygen given.
const ROWS: Row[] = [
  { hue: 'ecg', codes: PLACES.hr },
  { hue: 'pleth', codes: PLACES.spo2 },
  { hue: 'resp', codes: PLACES.rr },
  { hue: 'abp', codes: PRESSURES.map((pressure) => pressure.mean) },
  { hue: 'temp', codes: PLACES.temp },
  { hue: 'other', codes: [151920] },
]

// Empty lanes of these stay on the screen: that nothing was measured is what they say.
const ALWAYS = 3
// The hub answers no more at once.
const ASKED_MOST = 32

export function keyOf(trend: Pick<Trend, 'code' | 'site' | 'device'>): string {
  return `${trend.code}/${trend.site ?? ''}/${trend.device ?? ''}`
}

// What the bed's devices measure now of the rows and of what a person has asked for, then the rest of the rows: a device that was
// taken away is still in the record.
export function codesAsked(values: Value[], chosen: ReadonlySet<string>): number[] {
  const rows = ROWS.flatMap((row) => row.codes)
  const present = values.filter((value) => !value.setting && (rows.includes(value.code) || chosen.has(keyOf(value))))
  return [...new Set([...present.map((value) => value.code), ...rows])].slice(0, ASKED_MOST).sort((a, b) => a - b)
}

export interface Lane {
  key: string
  hue: Hue
  trend: Trend
}

export interface Choice {
  key: string
  label: string
  site: string | null
  device: string | null
  shown: boolean
}

// `chosen`: keys that a person has turned; each is the opposite of what would be shown otherwise.
export function lanes(trends: Trend[], chosen: ReadonlySet<string>): Lane[] {
  const taken = new Set<string>()
  const rows = ROWS.flatMap((row, i) => {
    const best = bestOf(trends, row.codes) ?? (i < ALWAYS ? empty(row.codes[0]) : undefined)
    if (best === undefined) return []
    taken.add(keyOf(best))
    return [best]
  })
  const rest = trends.filter((trend) => !taken.has(keyOf(trend)) && chosen.has(keyOf(trend)))
  return [...rows.filter((trend) => !chosen.has(keyOf(trend))), ...rest]
    .map((trend) => ({ key: keyOf(trend), hue: hueOf(trend.code), trend }))
    .sort((a, b) => order(a.trend.code) - order(b.trend.code))
}

export function choices(trends: Trend[], values: Value[], chosen: ReadonlySet<string>): Choice[] {
  const shown = new Set(lanes(trends, chosen).map((lane) => lane.key))
  const there = [...trends, ...values.filter((value) => !value.setting && value.pace !== 'episodic')]
  const found = new Map<string, Choice>()
  for (const { code, label, site, device } of there) {
    const key = keyOf({ code, site, device })
    if (!found.has(key)) found.set(key, { key, label, site, device, shown: shown.has(key) })
  }
  return [...found.values()].sort((a, b) => order(codeOf(a)) - order(codeOf(b)))
}

function bestOf(trends: Trend[], codes: number[]): Trend | undefined {
  for (const code of codes) {
    const same = trends.filter((trend) => trend.code === code && trend.points.length > 0)
    same.sort((a, b) => b.points.length - a.points.length)
    if (same[0] !== undefined) return same[0]
  }
  return trends.find((trend) => codes.includes(trend.code))
}

const EMPTY: Record<number, [string, string]> = { 147842: ['HR', '{beats}/min'], 150456: ['SpO2', '%'], 151578: ['RR', '{breaths}/min'] }

function empty(code = 0): Trend | undefined {
  const [label, ucum] = EMPTY[code] ?? []
  if (label === undefined || ucum === undefined) return undefined
  return { code, label, name: label, site: null, device: null, ucum, points: [] }
}

const codeOf = (choice: Choice): number => Number(choice.key.split('/')[0])

export function hueOf(code: number): Hue {
  return ROWS.find((row) => row.codes.includes(code))?.hue ?? 'other'
}

function order(code: number): number {
  const row = ROWS.findIndex((r) => r.codes.includes(code))
  return row < 0 ? 1e9 + code : row * 1e6 + (ROWS[row]?.codes.indexOf(code) ?? 0)
}
