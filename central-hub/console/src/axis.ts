// Scales of a trend: fixed neonatal ranges that widen when they must, ticks at round values, times on the local clock. Pure.

import { clock, day } from './format'

export interface Range {
  low: number
  high: number
}

// Fixed, so that the same height means the same on every bed and every day.
const RANGES: [codes: number[], range: Range][] = [
  [[147842, 149530, 149538, 149522, 149514], { low: 80, high: 200 }],
  [[150456, 160296, 160300], { low: 70, high: 100 }],
  [[151578, 151562, 151594, 151586], { low: 0, high: 100 }],
  [[150035, 150039, 150059, 150023], { low: 20, high: 60 }],
  [[150368, 188420, 150372, 188496, 150388, 150344], { low: 35, high: 39 }],
  [[151920], { low: 20, high: 60 }],
  [[150488], { low: 0, high: 4 }],
  [[151728, 151756, 151760], { low: 20, high: 80 }],
  [[151976, 151957, 151819], { low: 0, high: 30 }],
]

// What no reading of this unit of measure can exceed: the scale does not widen beyond it.
const CEILING: Record<string, number> = { '%': 100 }

export function rangeOf(code: number, ucum: string, seen: Range | undefined): Range {
  const fixed = RANGES.find(([codes]) => codes.includes(code))?.[1]
  const low = Math.min(fixed?.low ?? Infinity, seen?.low ?? Infinity)
  const high = Math.max(fixed?.high ?? -Infinity, seen?.high ?? -Infinity)
  if (!(high >= low)) return { low: 0, high: 1 }
  const step = stepOf(high === low ? Math.max(1, Math.abs(low)) : high - low, 10)
  const wide = {
    low: low < (fixed?.low ?? Infinity) ? Math.floor(low / step) * step : low,
    high: high > (fixed?.high ?? -Infinity) ? Math.ceil(high / step) * step : high,
  }
  if (wide.high === wide.low) wide.high += step
  const ceiling = CEILING[ucum]
  return ceiling !== undefined && high <= ceiling ? { low: wide.low, high: Math.min(wide.high, ceiling) } : wide
}

// 1, 2 or 5 times a power of ten, the least that makes at most `most` steps.
export function stepOf(span: number, most: number): number {
  const rough = span / Math.max(1, most)
  const power = 10 ** Math.floor(Math.log10(rough))
  return power * ([1, 2, 5].find((n) => n * power >= rough * (1 - 1e-9)) ?? 10)
}

export function valueTicks(range: Range, heightPx: number): number[] {
  const step = stepOf(range.high - range.low, Math.max(1, Math.min(5, Math.floor(heightPx / 24))))
  const first = Math.ceil(range.low / step - 1e-9)
  const last = Math.floor(range.high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

export interface TimeTick {
  at: number
  text: string
  midnight: boolean
}

const TICK_MINUTES = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720]

// Ticks at round local times. Local midnight carries the day's name instead of 00:00.
export function timeTicks(from: number, to: number, widthPx: number, leastPx = 74): TimeTick[] {
  const pxPerMinute = (widthPx * 60_000) / (to - from)
  const step = TICK_MINUTES.find((minutes) => minutes * pxPerMinute >= leastPx) ?? 1_440
  const start = new Date(from)
  const ticks: TimeTick[] = []
  for (let minute = 0; ; minute += step) {
    const local = new Date(start.getFullYear(), start.getMonth(), start.getDate(), 0, minute)
    const at = local.getTime()
    if (!(at <= to)) return ticks
    // The hour that a clock change repeats or leaves out is not drawn twice.
    if (at < from || at <= (ticks.at(-1)?.at ?? -Infinity)) continue
    const midnight = local.getHours() === 0 && local.getMinutes() === 0
    ticks.push({ at, text: midnight ? day(at) : clock(at), midnight })
  }
}
