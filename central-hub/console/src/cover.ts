// How complete a day is, in words, signs and shares that need no colour; and whether the seconds add up. Pure.

import type { Coverage } from './api'
import { lasting } from './format'
import { shortWords, type Kind } from './holes'

// The last seconds of a day that is still going on are on their way, not missing: the books call them waiting, a cell does not.
const ON_ITS_WAY_S = 60

export function settled<T extends Coverage & { expected_s: number }>(day: T, goesOn: boolean): T {
  if (!goesOn || day.waiting_s > ON_ITS_WAY_S) return day
  return { ...day, expected_s: day.expected_s - day.waiting_s, waiting_s: 0 }
}

// A full day is only called full when not a second is missing: everything else is rounded down.
export function percent(received: number, expected: number): string {
  if (expected <= 0) return ''
  if (received >= expected) return '100 %'
  const tenths = Math.floor((received / expected) * 1000)
  return `${(tenths / 10).toFixed(1)} %`
}

export type Sign = '●' | '◕' | '◑' | '◔' | '○'

export function sign(received: number, expected: number): Sign {
  const share = received / expected
  if (share >= 1) return '●'
  if (share >= 0.95) return '◕'
  if (share >= 0.5) return '◑'
  return share > 0 ? '◔' : '○'
}

export function missingOf(day: Coverage): number {
  return Object.values(day.missing).reduce((sum, seconds) => sum + seconds, 0)
}

// Causes by their weight, heaviest first.
export function causes(day: Coverage): [cause: string, seconds: number][] {
  return Object.entries(day.missing)
    .filter(([, seconds]) => seconds > 0)
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
}

// What to say of a day in a small place: what is unexplained, then causes and what is waiting by their weight.
export function remarks(day: Coverage): string[] {
  const rest: [string, number][] = [...causes(day), ['waiting', day.waiting_s]]
  rest.sort((a, b) => b[1] - a[1])
  const all: [string, number][] = [['unexplained', day.unexplained_s], ...rest]
  return all.filter(([, seconds]) => seconds > 0).map(([cause, seconds]) => `${shortWords(cause)} ${lasting(seconds * 1000)}`)
}

export interface Share {
  kind: 'received' | Kind
  share: number
}

// Bars of a day; what is there at all keeps a visible width.
export function sharesOf(day: Coverage, expected: number, least = 0.02): Share[] {
  if (expected <= 0) return []
  const parts: Share[] = [
    { kind: 'received', share: day.received_s / expected },
    { kind: 'lost', share: missingOf(day) / expected },
    { kind: 'coming', share: day.waiting_s / expected },
    { kind: 'unexplained', share: day.unexplained_s / expected },
  ]
  const shown = parts.filter((part) => part.share > 0).map((part) => ({ ...part, share: Math.max(least, part.share) }))
  const total = shown.reduce((sum, part) => sum + part.share, 0)
  return shown.map((part) => ({ ...part, share: part.share / total }))
}

// received + missing + waiting + unexplained - expected: anything but 0 is a fault of the hub's books.
export function offBy(day: Coverage, expected: number): number {
  return day.received_s + missingOf(day) + day.waiting_s + day.unexplained_s - expected
}

const DAY_MS = 86_400_000

// The last days in UTC, oldest first, as the hub names them.
export function lastDays(nowMs: number, days: number): string[] {
  return Array.from({ length: days }, (_, i) => new Date(nowMs - (days - 1 - i) * DAY_MS).toISOString().slice(0, 10))
}

export function dayBounds(day: string): { from: number; to: number } {
  const from = Date.parse(`${day}T00:00:00Z`)
  return { from, to: from + DAY_MS }
}

const NAME = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' })

export function dayName(day: string): string {
  const at = dayBounds(day).from
  return Number.isNaN(at) ? day : NAME.format(at)
}
