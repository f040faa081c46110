// When a value is still the patient's state, when it is history, and when it is nothing: pure rules, no clock of their own.

import type { Pace, Value } from './api'

// fresh: say nothing. aging: age beside it. old: dimmed, with age. gone: the number is taken away, the age stays.
export type Freshness = 'fresh' | 'aging' | 'old' | 'gone'

export interface Judged {
  freshness: Freshness
  ageMs: number
}

interface Bounds {
  aging: number
  old: number
  gone: number
}

const MINUTE = 60_000

// Continuous parameters are expected once a second and are gathered for up to another on their way: below 3 s there is nothing
// to say. 10 s is the hard cap of the hub and of every screen.
// A trend feed is slower by nature, so its age is always written. An episodic value carries its clock time instead;
// past twelve hours a clock time no longer says which day, so the number goes.
const BOUNDS: Record<Pace, Bounds> = {
  continuous: { aging: 3_000, old: 5_000, gone: 10_000 },
  trend: { aging: 0, old: 2 * MINUTE, gone: 5 * MINUTE },
  episodic: { aging: Infinity, old: 60 * MINUTE, gone: 12 * 60 * MINUTE },
}

export function judge(
  value: Pick<Value, 'pace' | 'age_ms' | 'quality'>,
  sinceFrameMs: number,
  hubLost: boolean,
): Judged {
  const ageMs = Math.max(0, value.age_ms) + Math.max(0, sinceFrameMs)
  const bounds = BOUNDS[value.pace]
  if (value.quality.includes('stale') || !(ageMs <= bounds.gone)) return { freshness: 'gone', ageMs }
  if (hubLost || ageMs > bounds.old) return { freshness: 'old', ageMs }
  return { freshness: ageMs > bounds.aging ? 'aging' : 'fresh', ageMs }
}

export interface Shown {
  text: string
  // Whether `text` is a measurement; a placeholder is never compared, trended or read out as one.
  isNumber: boolean
  // Short words printed beside the number.
  marks: string[]
  dim: boolean
}

const MARKS: Record<string, string> = {
  questionable: '?',
  invalid: 'INVALID',
  implausible: 'IMPLAUSIBLE',
  'ucum-assumed': 'UNIT ASSUMED',
  calibrating: 'CAL',
  'in-alarm': 'DEVICE ALARM',
}

export function shown(value: Pick<Value, 'value' | 'quality'>, freshness: Freshness): Shown {
  const quality = value.quality
  if (quality.includes('demo')) return placeholder('DEMO', [])
  if (freshness === 'gone') return placeholder('-?-', [])
  const marks = quality.flatMap((word) => MARKS[word] ?? [])
  if (value.value === null || quality.includes('unavailable')) return placeholder('---', marks)
  const dim = freshness === 'old' || quality.includes('invalid') || quality.includes('calibrating')
  return { text: value.value, isNumber: true, marks, dim }
}

function placeholder(text: string, marks: string[]): Shown {
  return { text, isNumber: false, marks, dim: true }
}

export type HubLink = 'live' | 'late' | 'lost'

// The hub ticks every second; three missed ticks are late, five are lost.
export function hubLink(sinceHeardMs: number, connected: boolean): HubLink {
  if (!connected || sinceHeardMs > 5_000) return 'lost'
  return sinceHeardMs > 3_000 ? 'late' : 'live'
}
