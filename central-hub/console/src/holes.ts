// Holes in the record: what each is called, which lie on a lane, which words fit into one, how they are listed. Pure.

import type { Gap } from './api'
import { clock, lasting } from './format'

// lost: it will not come, and why is known. coming: it is at the gateway still. unexplained: nobody knows.
// apart: it is there and is not shown, since it is of the child who lay here before.
export type Kind = 'lost' | 'coming' | 'unexplained' | 'apart'

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
  'not-offered': 'not offered by the device',
  'other-child': 'before the bed changed hands',
}

// For small places.
const SHORT: Record<string, string> = {
  'dropped-by-policy': 'discarded',
  'agent-down': 'gateway off',
  'store-lost': 'store lost',
  'not-offered': 'not offered',
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
  if (cause === 'other-child') return 'apart'
  return cause === 'unexplained' ? cause : 'lost'
}

// Where two holes lie over each other the graver one is shown: what nobody knows, then what is lost for good.
const GRAVEST: Kind[] = ['apart', 'unexplained', 'lost', 'coming']

function graver(a: Gap, b: Gap): number {
  return GRAVEST.indexOf(kindOf(a.cause)) - GRAVEST.indexOf(kindOf(b.cause)) || length(b) - length(a)
}

const length = (gap: Gap): number => gap.to_ms - gap.from_ms

// The time before the bed's last admission or discharge, as a stretch over all lanes.
export function before(since: number | null, from: number, to: number): Gap[] {
  if (since === null || since <= from) return []
  return [{ from_ms: from, to_ms: Math.min(since, to), cause: 'other-child', lane: 'numeric', link: null, device: null, count: null }]
}

export interface Shade {
  from: number
  to: number
  cause: string
}

// What is shaded on the lane of one device: its own holes and those of the whole bed, cut to the window and to each other.
export function shades(gaps: Gap[], device: string, from: number, to: number): Shade[] {
  const mine = gaps
    .filter((gap) => (gap.link === null || gap.device === device) && gap.to_ms > from && gap.from_ms < to)
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
  const long = kindOf(shade.cause) === 'apart' ? cause : `${cause} · ${lasting(shade.to - shade.from)}`
  const choices = [long, cause, shortWords(shade.cause)]
  const fits = (room: number): string | undefined => choices.find((text) => measure(text) + 2 * PAD_PX <= room)
  const lying = height >= LINE_PX ? fits(width) : undefined
  if (lying !== undefined) return { text: lying, upright: false }
  const standing = width >= LINE_PX ? fits(height) : undefined
  return standing === undefined ? undefined : { text: standing, upright: true }
}

export interface Piece {
  from: number
  to: number
}

export interface Listed {
  from: number
  to: number
  cause: string
  kind: Kind
  devices: string[]
  pieces: Piece[]
  // 12:04–12:31
  when: string
  // cable out (ventilator)
  what: string
  // 27 min; of many short ones together, with how many they are
  long: string
}

// What happens to every device of a bed alike: their names would say nothing.
const OF_GATEWAY = ['agent-down', 'store-lost', 'clock-step', 'dropped-by-policy', 'waiting', 'not-heard']

// Short holes of one cause that follow each other within this are one line.
const FLICKER_MS = 60_000

interface Line {
  cause: string
  devices: string[]
  pieces: Piece[]
}

// The holes as a person reads them: newest first, one line for what happened to several devices at once, one for what flickers.
export function listed(gaps: Gap[], now: number): Listed[] {
  const lines: Line[] = []
  for (const gap of [...gaps].sort((a, b) => a.from_ms - b.from_ms || a.to_ms - b.to_ms)) {
    const piece = { from: gap.from_ms, to: gap.to_ms }
    const same = lines.find(({ cause, pieces: [only, ...more] }) => cause === gap.cause && only !== undefined && more.length === 0 && near(only, piece))
    if (same !== undefined) {
      if (gap.device !== null && !same.devices.includes(gap.device)) same.devices.push(gap.device)
    } else lines.push({ cause: gap.cause, devices: gap.device === null ? [] : [gap.device], pieces: [piece] })
  }
  return joined(lines)
    .map((line) => words(line, now))
    .sort((a, b) => b.from - a.from || b.to - a.to)
}

function joined(lines: Line[]): Line[] {
  const found: Line[] = []
  const short = (piece: Piece | undefined): boolean => piece !== undefined && piece.to - piece.from < FLICKER_MS
  for (const line of lines) {
    const [piece] = line.pieces
    const before = found.findLast((other) => other.cause === line.cause && other.devices.join() === line.devices.join())
    const last = before?.pieces.at(-1)
    if (before !== undefined && piece !== undefined && last !== undefined && short(piece) && short(last) && piece.from - last.to < FLICKER_MS) before.pieces.push(piece)
    else found.push({ ...line, pieces: [...line.pieces] })
  }
  return found
}

function words({ cause, devices, pieces }: Line, now: number): Listed {
  const from = Math.min(...pieces.map((piece) => piece.from))
  const to = Math.max(...pieces.map((piece) => piece.to))
  const long = lasting(together(pieces))
  return {
    from,
    to,
    cause,
    kind: kindOf(cause),
    devices,
    pieces,
    when: when(from, to, now),
    what: causeWords(cause) + (devices.length === 0 || OF_GATEWAY.includes(cause) ? '' : ` (${devices.sort().join(', ')})`),
    long: pieces.length > 1 ? `${pieces.length} × · ${long}` : long,
  }
}

// Where a cursor stands to look at it: in the middle of its longest piece, as far as that is on the screen.
export function middleOf(hole: Pick<Listed, 'pieces'>, from: number, to: number): number {
  const seen = hole.pieces.map((piece) => ({ from: Math.max(from, piece.from), to: Math.min(to, piece.to) }))
  const longest = seen.reduce((a, b) => (b.to - b.from > a.to - a.from ? b : a))
  return (longest.from + longest.to) / 2
}

export function isIn(hole: Pick<Listed, 'pieces'>, at: number): boolean {
  return hole.pieces.some((piece) => piece.from <= at && at < piece.to)
}

// What lies under any of them, counted once.
export function together(holes: Piece[]): number {
  let sum = 0
  let reached = -Infinity
  for (const { from, to } of [...holes].sort((a, b) => a.from - b.from)) {
    sum += Math.max(0, to - Math.max(from, reached))
    reached = Math.max(reached, to)
  }
  return sum
}

const near = (a: Piece, b: Piece): boolean => Math.abs(a.from - b.from) < 2_000 && Math.abs(a.to - b.to) < 2_000

// Seconds only where the minutes alone would say nothing.
function when(from: number, to: number, now: number): string {
  const seconds = to - from < 120_000
  const end = Math.abs(to - now) < 2_000 ? 'now' : clock(to, seconds)
  return `${clock(from, seconds)}–${end}`
}

export interface Now {
  agent: 'live' | 'late' | 'lost' | 'never'
  devices: { name: string; state: string }[]
}

// The cause that a link's state now will be called by when it is over.
const CAUSE_OF: Record<string, string> = { silent: 'device-silent', connecting: 'device-silent', opening: 'cable-out', down: 'cable-out' }

// What is on its way is not called missing.
const ON_ITS_WAY_MS = 90_000

// What waits at the very end, in the words of the bed's state now: a gateway that is not heard may have it, a silent device has not.
export function atTheEnd(gaps: Gap[], to: number, now: Now): Gap[] {
  return gaps.flatMap((gap) => {
    if (gap.cause !== 'waiting' || to - gap.to_ms > ON_ITS_WAY_MS) return [gap]
    if (now.agent !== 'live') return [{ ...gap, cause: 'not-heard' }]
    const state = now.devices.find((device) => device.name === gap.device)?.state ?? 'live'
    if (state !== 'live') return [{ ...gap, cause: CAUSE_OF[state] ?? state }]
    return length(gap) < ON_ITS_WAY_MS ? [] : [gap]
  })
}
