// The geometry of a sweep with an erase bar: pure numbers, tested without a canvas.

// Fixed, never growing: data later than this is drawn in its own place behind the bar, or not at all.
export const WAVE_DELAY_MS = 1_500
// CSS pixels a second at 25 mm/s on a nominal 96 dpi screen; not calibrated to the glass.
const PX_PER_S = 25 * (96 / 25.4)
export const BAR_PX = 16

export type Shape = 'ecg' | 'pleth' | 'resp' | 'abp' | 'other'

const SHAPES: [Shape, number[]][] = [
  ['ecg', [131330, 131328, 131329, 131389]],
  ['pleth', [150452]],
  ['resp', [151552, 151724, 151764, 151792]],
  ['abp', [150032, 150036, 150056, 150084]],
]

export function shapeOf(code: number): Shape {
  return SHAPES.find(([, codes]) => codes.includes(code))?.[0] ?? 'other'
}

const ORDER: Shape[] = ['ecg', 'pleth', 'resp', 'abp', 'other']

// ECG before pleth before breathing; lead II before the others; ids keep equal ones in place.
export function byPreference(a: { code: number; id: number }, b: { code: number; id: number }): number {
  return rank(a.code) - rank(b.code) || a.id - b.id
}

function rank(code: number): number {
  const shape = shapeOf(code)
  const within = SHAPES.find(([name]) => name === shape)?.[1].indexOf(code) ?? 0
  return ORDER.indexOf(shape) * 100 + within
}

// Breathing runs at 6.25 mm/s, the neonatal default, all else at 25 mm/s; whole seconds, so that the phase is the clock's.
export function sweepMs(shape: Shape, widthCssPx: number): number {
  const seconds = Math.max(3, Math.min(16, Math.round(widthCssPx / PX_PER_S)))
  return 1000 * seconds * (shape === 'resp' ? 4 : 1)
}

// Where a wall time stands on the lane: the same for every lane of one sweep length, whenever it was opened.
export function x(wallMs: number, sweep: number, width: number): number {
  const phase = ((wallMs % sweep) + sweep) % sweep
  return (phase / sweep) * width
}

// The stretch between two wall times as one or two runs of pixels (it wraps at the right edge).
export function spans(fromMs: number, toMs: number, sweep: number, width: number): [number, number][] {
  if (toMs <= fromMs) return []
  if (toMs - fromMs >= sweep) return [[0, width]]
  const from = x(fromMs, sweep, width)
  const to = x(toMs, sweep, width)
  if (from <= to) return [[from, to]]
  return [
    [from, width],
    [0, to],
  ]
}

export interface Range {
  low: number
  high: number
}

// The least span a lane is allowed to show: noise on a flat line must stay a flat line.
const LEAST: Record<string, number> = { mV: 0.6, 'mm[Hg]': 20, Ohm: 0.3, 'cm[H2O]': 5 }
const SHRINK = 0.8
const MARGIN = 0.08

// The scale of a lane. It widens when the trace leaves it and narrows by at most a fifth per sweep; whenever it changes,
// the lane is drawn anew, so that one screen of trace has one scale.
export class Scale {
  private range: Range | undefined
  private widest = 0

  constructor(private readonly ucum: string) {}

  get current(): Range | undefined {
    return this.range
  }

  // `seen` is the extent of the samples on the lane. Returns whether the scale changed.
  adapt(seen: Range, wrapped: boolean): boolean {
    const wanted = this.framed(seen)
    const now = this.range
    if (now === undefined || seen.low < now.low || seen.high > now.high) {
      this.range = now === undefined || wrapped ? wanted : union(now, wanted)
      return true
    }
    const span = now.high - now.low
    if (!wrapped || wanted.high - wanted.low > 0.85 * span) return false
    const target = Math.max(wanted.high - wanted.low, SHRINK * span)
    const room = (target - (wanted.high - wanted.low)) / 2
    this.range = { low: wanted.low - room, high: wanted.high + room }
    return true
  }

  private framed(seen: Range): Range {
    const span = seen.high - seen.low
    this.widest = Math.max(span, this.widest * 0.98)
    const least = LEAST[this.ucum] ?? Math.max(this.widest * 0.1, Number.EPSILON)
    const margin = span * MARGIN
    const short = Math.max(0, least - span) / 2
    return { low: seen.low - margin - short, high: seen.high + margin + short }
  }
}

function union(a: Range, b: Range): Range {
  return { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) }
}
