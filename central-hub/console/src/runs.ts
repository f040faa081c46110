// From buckets to outlines: buckets that touch form a run; whatever is absent ends one, so no line can cross it. Pure.

import type { Point } from './api'

// A bucket with less than this share of its seconds is drawn fainter.
export const FULL_ENOUGH = 0.5

export interface Run {
  faint: boolean
  // Where the run begins and ends, and each bucket's middle between: time, least, mean, greatest.
  outline: [at: number, low: number, mean: number, high: number][]
}

export function runs(points: Point[], resolutionMs: number): Run[] {
  const found: Run[] = []
  let before: Point | undefined
  for (const point of points) {
    const [at, min, mean, max] = point
    const faint = isFaint(point)
    const joined = before !== undefined && at - before[0] <= resolutionMs * 1.001
    const last = found.at(-1)
    if (last === undefined || before === undefined || !joined) {
      end(last, before, resolutionMs)
      found.push({ faint, outline: [[at, min, mean, max]] })
    } else if (last.faint !== faint) {
      // The edge that two neighbours share lies midway between their values, for both.
      const edge: Run['outline'][number] = [at, middle(before[1], min), middle(before[2], mean), middle(before[3], max)]
      last.outline.push(edge)
      found.push({ faint, outline: [edge] })
    }
    found.at(-1)?.outline.push([at + resolutionMs / 2, min, mean, max])
    before = point
  }
  end(found.at(-1), before, resolutionMs)
  return found
}

function end(run: Run | undefined, last: Point | undefined, resolutionMs: number): void {
  if (run !== undefined && last !== undefined) run.outline.push([last[0] + resolutionMs, last[1], last[2], last[3]])
}

const middle = (a: number, b: number): number => (a + b) / 2

export function isFaint(point: Point): boolean {
  return point[5] < FULL_ENOUGH
}

export function extent(points: Point[]): { low: number; high: number } | undefined {
  if (points.length === 0) return undefined
  let low = Infinity
  let high = -Infinity
  for (const [, min, , max] of points) {
    low = Math.min(low, min)
    high = Math.max(high, max)
  }
  return { low, high }
}

// Decimals of the readings themselves; a mean has no more than they have.
export function digitsOf(points: Point[]): number {
  const whole = (scale: number): boolean =>
    points.every(([, min, , max]) => Number.isInteger(round(min * scale)) && Number.isInteger(round(max * scale)))
  return whole(1) ? 0 : whole(10) ? 1 : 2
}

const round = (value: number): number => Number(value.toPrecision(9))

// The bucket that holds a time, if there is one.
export function bucketAt(points: Point[], at: number, resolutionMs: number): Point | undefined {
  let low = 0
  let high = points.length
  while (low < high) {
    const mid = (low + high) >> 1
    if ((points[mid]?.[0] ?? 0) <= at) low = mid + 1
    else high = mid
  }
  const found = points[low - 1]
  return found !== undefined && at < found[0] + resolutionMs ? found : undefined
}

// The same buckets in `spanMs` pieces, for the table: least of the least, mean weighed by readings.
export function coarser(points: Point[], resolutionMs: number, spanMs: number): Point[] {
  const share = resolutionMs / spanMs
  const found: Point[] = []
  for (const [at, min, mean, max, count, coverage] of points) {
    const begin = Math.floor(at / spanMs) * spanMs
    const last = found.at(-1)
    if (last === undefined || last[0] !== begin) {
      found.push([begin, min, mean, max, count, coverage * share])
      continue
    }
    const readings = last[4] + count
    last[2] = readings === 0 ? middle(last[2], mean) : (last[2] * last[4] + mean * count) / readings
    last[1] = Math.min(last[1], min)
    last[3] = Math.max(last[3], max)
    last[4] = readings
    last[5] += coverage * share
  }
  return found
}
