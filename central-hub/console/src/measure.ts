// What a recorded alarm signal is like: its pulses, their edges and spacing, its fundamental and partials. For tests; not in the page.

export interface Pulse {
  // Where it passes 90 % of its level, up and down.
  startMs: number
  endMs: number
  // Between 10 % and 90 %.
  riseMs: number
  fallMs: number
  peak: number
}

export interface Signal {
  pulses: Pulse[]
  // Between the pulses' 90 % points.
  gapsMs: number[]
  fundamentalHz: number
  // In decibels of the fundamental, by multiple: only those between 300 and 4000 Hz.
  partials: { hz: number; db: number }[]
}

// A little more than a period of 523 Hz: within it the wave reaches its peak once.
const WINDOW_MS = 2

export function measure(samples: Float32Array, rate: number): Signal {
  const envelope = envelopeOf(samples, Math.round((WINDOW_MS / 1000) * rate))
  const loudest = envelope.reduce((most, v) => Math.max(most, v), 0)
  const pulses: Pulse[] = []
  let from = -1
  for (let i = 0; i <= envelope.length; i++) {
    const on = (envelope[i] ?? 0) > loudest * 0.02
    if (on && from < 0) from = i
    if (!on && from >= 0) {
      pulses.push(pulseOf(envelope, from, i, rate))
      from = -1
    }
  }
  const gapsMs = pulses.slice(1).map((pulse, i) => pulse.startMs - (pulses[i]?.endMs ?? 0))
  const first = pulses[0]
  const plateau = first === undefined ? samples.subarray(0, 0) : samples.subarray(at(first.startMs, rate), at(first.endMs, rate))
  return { pulses, gapsMs, ...spectrumOf(plateau, rate) }
}

const at = (ms: number, rate: number): number => Math.round((ms / 1000) * rate)

// The greatest magnitude around each sample.
function envelopeOf(samples: Float32Array, window: number): Float32Array {
  const envelope = new Float32Array(samples.length)
  const half = window >> 1
  const queue: number[] = []
  let head = 0
  for (let i = 0; i < samples.length + half; i++) {
    if (i < samples.length) {
      const level = Math.abs(samples[i] ?? 0)
      while (queue.length > head && Math.abs(samples[queue[queue.length - 1] ?? 0] ?? 0) <= level) queue.pop()
      queue.push(i)
    }
    const middle = i - half
    if (middle < 0) continue
    while ((queue[head] ?? Infinity) < middle - half) head += 1
    envelope[middle] = Math.abs(samples[queue[head] ?? 0] ?? 0)
  }
  return envelope
}

function pulseOf(envelope: Float32Array, from: number, to: number, rate: number): Pulse {
  const part = envelope.subarray(from, to)
  const peak = part.reduce((most, v) => Math.max(most, v), 0)
  const first = (share: number): number => from + part.findIndex((v) => v >= peak * share)
  const last = (share: number): number => from + part.findLastIndex((v) => v >= peak * share)
  const ms = (index: number): number => (index / rate) * 1000
  return {
    startMs: ms(first(0.9)),
    endMs: ms(last(0.9)),
    riseMs: ms(first(0.9) - first(0.1)),
    fallMs: ms(last(0.1) - last(0.9)),
    peak,
  }
}

function spectrumOf(samples: Float32Array, rate: number): Pick<Signal, 'fundamentalHz' | 'partials'> {
  const window = samples.map((v, i) => v * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / Math.max(1, samples.length - 1))))
  const strongest = (from: number, to: number, step: number): { hz: number; power: number } => {
    let best = { hz: from, power: 0 }
    for (let hz = from; hz <= to; hz += step) {
      const power = goertzel(window, hz, rate)
      if (power > best.power) best = { hz, power }
    }
    return best
  }
  const all = strongest(100, 4_000, 2)
  const fundamental = strongest(all.hz - 4, all.hz + 4, 0.25)
  const partials = Array.from({ length: Math.floor(4_000 / fundamental.hz) }, (_, i) => fundamental.hz * (i + 1))
    .filter((hz) => hz >= 300 && hz <= 4_000)
    .map((hz) => ({ hz, db: 10 * Math.log10(strongest(hz - 4, hz + 4, 1).power / fundamental.power) }))
  return { fundamentalHz: fundamental.hz, partials }
}

function goertzel(samples: Float32Array, hz: number, rate: number): number {
  const turn = 2 * Math.cos((2 * Math.PI * hz) / rate)
  let before = 0
  let twoBefore = 0
  for (const sample of samples) {
    const now = sample + turn * before - twoBefore
    twoBefore = before
    before = now
  }
  return before * before + twoBefore * twoBefore - turn * before * twoBefore
}

export interface Window {
  what: string
  measured: string
  least: number
  most: number
  seen: number[]
}

// The windows of IEC 60601-1-8 as far as public sources quote them, beside what was measured.
export function beside(tone: 'high' | 'medium' | 'low', signal: Signal, betweenMs: number): Window[] {
  const high = tone === 'high'
  const pulse = signal.pulses.map((p) => p.endMs - p.startMs)
  const mean = pulse.reduce((sum, v) => sum + v, 0) / pulse.length
  const [x, long] = high ? [signal.gapsMs.filter((_, i) => [0, 1, 3, 5, 6, 8].includes(i)), signal.gapsMs.filter((_, i) => i === 2 || i === 7)] : [signal.gapsMs, []]
  const spacing = x[0] ?? (high ? 100 : 200)
  const inBand = signal.partials.filter((p) => Math.abs(p.db) <= 15)
  const levels = signal.pulses.map((p) => 20 * Math.log10(p.peak / (signal.pulses[0]?.peak ?? 1)))
  const row = (what: string, least: number, most: number, seen: number[], digits = 0): Window => ({ what, least, most, seen, measured: seen.map((v) => v.toFixed(digits)).join(' ') })
  const rows = [
    row('pulses in a burst', high ? 10 : tone === 'medium' ? 3 : 1, high ? 10 : tone === 'medium' ? 3 : 2, [signal.pulses.length]),
    row('pulse duration, ms', high ? 75 : 125, high ? 200 : 250, pulse),
    row('rise of the pulse duration, %', 10, 40, signal.pulses.map((p, i) => (p.riseMs / (pulse[i] ?? mean)) * 100), 1),
    row('fall and rise, ms', 0, spacing, signal.pulses.map((p) => p.fallMs + p.riseMs)),
    row('between bursts, s', high ? 2.5 : tone === 'medium' ? 2.5 : 15, high ? 15 : tone === 'medium' ? 30 : Infinity, [betweenMs / 1000], 2),
    row('fundamental, Hz', 150, 1_000, [signal.fundamentalHz], 1),
    row('partials within 15 dB, 300 to 4000 Hz', 4, Infinity, [inBand.length]),
    row('pulses apart in level, dB', -10, 10, levels, 2),
  ]
  if (x.length > 0) rows.push(row('spacing, ms', high ? 50 : 125, high ? 125 : 250, x))
  if (high) {
    rows.push(row('spacing 3 to 4 and 8 to 9, ms', 2 * Math.min(...x) + mean - 10, 2 * Math.max(...x) + mean + 10, long))
    rows.push(row('spacing 5 to 6, s', 0.35, 1.3, [(signal.gapsMs[4] ?? 0) / 1000], 2))
  }
  return rows
}

export const within = (row: Window): boolean => row.seen.length > 0 && row.seen.every((v) => v >= row.least && v <= row.most)
