// The stretch of time that a trend asks for and the places where its cursor can stand. Pure.

const HOUR_MS = 3_600_000

export interface Stretch {
  from: number
  to: number
}

// `end` null: it ends now, and goes on with the clock. On the edges of buckets, so that going on keeps the buckets.
export function stretch(nowMs: number, end: number | null, hours: number, resolutionS: number): Stretch {
  const edge = resolutionS * 1000
  const to = end ?? nowMs
  return { from: Math.floor((to - hours * HOUR_MS) / edge) * edge, to: Math.ceil(to / edge) * edge }
}

// By half of what is shown. What would reach into the future ends now.
export function stepped(end: number | null, direction: 1 | -1, hours: number, nowMs: number): number | null {
  const next = (end ?? nowMs) + (direction * hours * HOUR_MS) / 2
  return next >= nowMs ? null : next
}

// The cursor walks by buckets, stands in the middle of one, and enters at the end that it is called from.
export function walked(at: number | null, buckets: number, resolutionMs: number, { from, to }: Stretch): number {
  const middle = (time: number): number => (Math.floor(time / resolutionMs) + 0.5) * resolutionMs
  const [first, last] = [middle(from), middle(to - 1)]
  if (at === null && Number.isFinite(buckets)) return buckets < 0 ? last : first
  return Math.max(first, Math.min(last, middle(at ?? from) + buckets * resolutionMs))
}
