// Holes in the record: what each is called, which lie on a lane, which words fit into one, how they are listed. Pure.

import type { Gap, Trend } from './api'
import { clock, lasting } from './format'

// lost: it will not come, and why is known. coming: it is at the gateway still. unexplained: nobody knows.
export type Kind = 'lost' | 'coming' | 'unexplained'

const CAUSES: Record<string, string> = {
  'device-silent': 'device silent',
  'cable-out': 'cable out',
  undecodable: 'not readable',
  'clock-step': 'clock was set',
  'dropped-by-policy': 'discarded: gateway full',
  'agent-down': 'gateway was off',
  'wrong-device': 'wrong device',
  'store-lost': 'gateway’s store lost',
  waiting: 'waiting at the gateway',
  'not-heard': 'gateway not heard, may still come',
  unexplained: 'unexplained',
}

// For small places.
const SHORT: Record<string, string> = {
  'dropped-by-policy': 'discarded',
  'agent-down': 'gateway off',
  'store-lost': 'store lost',
  waiting: 'waiting',
  'not-heard': 'not heard',
}

export function shortWords(cause: string): string {
  return SHORT[cause] ?? causeWords(cause)
}

// A cause of a newer hub is still words.
export function causeWords(cause: string): string {
  return CAUSES[cause] ?? cause.replaceAll('-', ' ')
}

export function kindOf(cause: string): Kind {
  if (cause === 'waiting' || cause === 'not-heard') return 'coming'
  return cause === 'unexplained' ? cause : 'lost'
}

// Where two holes lie over each other the graver one is shown: what nobody knows, then what is lost for good.
const GRAVEST: Kind[] = ['unexplained', 'lost', 'coming']

function graver(a: Gap, b: Gap): number {
  return GRAVEST.indexOf(kindOf(a.cause)) - GRAVEST.indexOf(kindOf(b.cause)) || length(b) - length(a)
}

const length = (gap: Gap): number => gap.to_ms - gap.from_ms

export interface Shade {
  from: number
  to: number
  cause: string
}

// What is shaded on the lane of one device: its own holes and those of the whole bed, cut to the window and to each other.
export function shades(gaps: Gap[], device: string, from: number, to: number): Shade[] {
  const mine = gaps
    .filter((gap) => (gap.device === null || gap.device === device) && gap.to_ms > from && gap.from_ms < to)
    .sort(graver)
  const edges = [...new Set(mine.flatMap((gap) => [Math.max(from, gap.from_ms), Math.min(to, gap.to_ms)]))]
  edges.sort((a, b) => a - b)
  const found: Shade[] = []
  edges.forEach((begin, i) => {
    const end = edges[i + 1]
    if (end === undefined) return
    const gap = mine.find((g) => g.from_ms <= begin && g.to_ms >= end)
    if (gap === undefined) return
    const last = found.at(-1)
    if (last !== undefined && last.to === begin && last.cause === gap.cause) last.to = end
    else found.push({ from: begin, to: end, cause: gap.cause })
  })
  return found
}

export function shadeAt(list: Shade[], at: number): Shade | undefined {
  return list.find((shade) => shade.from <= at && at < shade.to)
}

export interface Words {
  text: string
  upright: boolean
}

const PAD_PX = 8
const LINE_PX = 15

// The longest words that fit, lying or, in a narrow hole, standing; nothing when neither does.
export function wordsFor(shade: Shade, width: number, height: number, measure: (text: string) => number): Words | undefined {
  const cause = causeWords(shade.cause)
  const choices = [`${cause} · ${lasting(shade.to - shade.from)}`, cause, shortWords(shade.cause)]
  const fits = (room: number): string | undefined => choices.find((text) => measure(text) + 2 * PAD_PX <= room)
  const lying = height >= LINE_PX ? fits(width) : undefined
  if (lying !== undefined) return { text: lying, upright: false }
  const standing = width >= LINE_PX ? fits(height) : undefined
  return standing === undefined ? undefined : { text: standing, upright: true }
}

export interface Listed {
  from: number
  to: number
  cause: string
  kind: Kind
  devices: string[]
  // 12:04–12:31
  when: string
  // cable out (ventilator)
  what: string
  long: string
}

// The holes as a person reads them: newest first, one line for what happened to several devices at once.
export function listed(gaps: Gap[], now: number): Listed[] {
  const found: Listed[] = []
  for (const gap of [...gaps].sort((a, b) => b.from_ms - a.from_ms || b.to_ms - a.to_ms)) {
    const same = found.find(
      (line) => line.cause === gap.cause && near(line.from, gap.from_ms) && near(line.to, gap.to_ms),
    )
    if (same !== undefined) {
      if (gap.device !== null && !same.devices.includes(gap.device)) same.devices.push(gap.device)
      continue
    }
    const line = { from: gap.from_ms, to: gap.to_ms, cause: gap.cause, kind: kindOf(gap.cause), devices: gap.device === null ? [] : [gap.device] }
    found.push({ ...line, when: when(gap.from_ms, gap.to_ms, now), what: '', long: lasting(length(gap)) })
  }
  for (const line of found) line.what = causeWords(line.cause) + (line.devices.length === 0 ? '' : ` (${line.devices.sort().join(', ')})`)
  return found
}

// What lies under any of them, counted once.
export function together(holes: { from: number; to: number }[]): number {
  let sum = 0
  let reached = -Infinity
  for (const { from, to } of [...holes].sort((a, b) => a.from - b.from)) {
    sum += Math.max(0, to - Math.max(from, reached))
    reached = Math.max(reached, to)
  }
  return sum
}

const near = (a: number, b: number): boolean => Math.abs(a - b) < 2_000

// Seconds only where the minutes alone would say nothing.
function when(from: number, to: number, now: number): string {
  const seconds = to - from < 120_000
  const end = near(to, now) ? 'now' : clock(to, seconds)
  return `${clock(from, seconds)}–${end}`
}

// What the bed's state now says of the time after a device's last bucket, for which no hole is on record yet.
export interface Now {
  agent: 'live' | 'late' | 'lost' | 'never'
  devices: { name: string; state: string }[]
}

export function stillOpen(trends: Pick<Trend, 'device' | 'points'>[], gaps: Gap[], to: number, resolutionMs: number, now: Now): Gap[] {
  const ends = new Map<string, number>()
  for (const { device, points } of trends) {
    const last = points.at(-1)?.[0]
    if (last !== undefined) ends.set(device, Math.max(ends.get(device) ?? -Infinity, last + resolutionMs))
  }
  const open: Gap[] = []
  for (const [device, end] of ends) {
    const known = gaps.filter((gap) => gap.device === null || gap.device === device).map((gap) => gap.to_ms)
    const from = Math.max(end, ...known)
    if (to - from < 2 * resolutionMs) continue
    const state = now.devices.find((d) => d.name === device)?.state ?? 'live'
    const cause = now.agent !== 'live' ? 'not-heard' : state === 'live' ? 'waiting' : `device-${state}`
    open.push({ from_ms: from, to_ms: to, cause, lane: 'numeric', link: null, device, count: null })
  }
  return open
}
