// The auditory alarm signals, in numbers: one table that the speaker plays, the tests measure and the agent's page shares.

export type Tone = 'high' | 'medium' | 'low'

export const FUNDAMENTAL_HZ = 523.25
// Partials 1 to 6, in decibels of the first.
export const PARTIALS_DB = [0, -2, -4, -6, -9, -12]

export interface Pattern {
  // From 90 % to 90 % of the pulse's level.
  pulseMs: number
  // From 10 % to 90 %, and back.
  riseMs: number
  // Silences between the pulses of a burst, 90 % to 90 %; one more pulse than silences.
  gapsMs: number[]
  // From the end of a burst to the next.
  betweenMs: number
  // Peak level of full scale.
  level: number
}

const X = 100
const Y = 200
const HIGH_PULSE = 150
const HALF = [X, X, 2 * X + HIGH_PULSE, X]

export const PATTERNS: Record<Tone, Pattern> = {
  high: { pulseMs: HIGH_PULSE, riseMs: 30, gapsMs: [...HALF, 800, ...HALF], betweenMs: 5_000, level: 0.9 },
  medium: { pulseMs: 200, riseMs: 40, gapsMs: [Y, Y], betweenMs: 7_500, level: 0.7 },
  low: { pulseMs: 200, riseMs: 40, gapsMs: [], betweenMs: 20_000, level: 0.5 },
}

// One burst and the silence after it, to be played round and round by the audio clock.
export function burst(pattern: Pattern, rate: number): Float32Array<ArrayBuffer> {
  const ramp = pattern.riseMs / 0.8
  const pulses = pattern.gapsMs.length + 1
  const sounding = pulses * pattern.pulseMs + pattern.gapsMs.reduce((sum, gap) => sum + gap, 0)
  const samples = new Float32Array(Math.round(((ramp * 0.9 * 2 + sounding + pattern.betweenMs) / 1000) * rate))
  const wave = period(rate)
  let at = ramp * 0.9
  for (let pulse = 0; pulse < pulses; pulse++) {
    lay(samples, wave, at, pattern, ramp, rate)
    at += pattern.pulseMs + (pattern.gapsMs[pulse] ?? 0)
  }
  return samples
}

// `at`: the moment in milliseconds at which the pulse has risen to 90 %.
function lay(samples: Float32Array, wave: (seconds: number) => number, at: number, pattern: Pattern, ramp: number, rate: number): void {
  const from = at - 0.9 * ramp
  const until = at + pattern.pulseMs + 0.9 * ramp
  for (let i = Math.ceil((from / 1000) * rate); i < Math.min(samples.length, (until / 1000) * rate); i++) {
    const ms = (i / rate) * 1000
    const envelope = Math.min(1, (ms - from) / ramp, (until - ms) / ramp)
    samples[i] = pattern.level * envelope * wave((ms - from) / 1000)
  }
}

// Six partials, their sum at most 1.
function period(rate: number): (seconds: number) => number {
  const partials = PARTIALS_DB.map((db, i) => ({ hz: FUNDAMENTAL_HZ * (i + 1), amplitude: 10 ** (db / 20) })).filter((p) => p.hz < rate / 2)
  const raw = (seconds: number): number => partials.reduce((sum, p) => sum + p.amplitude * Math.sin(2 * Math.PI * p.hz * seconds), 0)
  let peak = 0
  for (let i = 0; i < 2_000; i++) peak = Math.max(peak, Math.abs(raw(i / 2_000 / FUNDAMENTAL_HZ)))
  return (seconds) => raw(seconds) / peak
}
