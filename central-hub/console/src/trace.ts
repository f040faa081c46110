// One channel's recent samples by agent wall time, and a bed's mapping from that time to the page's monotonic clock.

import type { Channel } from './api'
import { NO_SAMPLE } from './frames'

interface Piece {
  beginMs: number
  endMs: number
  samples: Int32Array
}

// Enough for the slowest sweep (resp, 4 times slower than the rest) on the widest lane.
const KEEP_MS = 70_000

export class Trace {
  readonly periodMs: number
  private pieces: Piece[] = []

  constructor(readonly channel: Channel) {
    this.periodMs = Math.max(0.1, channel.period_us / 1000)
  }

  // Returns the wall time at which the samples end.
  push(beginMs: number, samples: Int32Array): number {
    const endMs = beginMs + samples.length * this.periodMs
    const last = this.pieces.at(-1)
    // The agent's clock was set back: what was drawn ahead of it belongs to no time any more.
    if (last !== undefined && endMs < last.beginMs - 1_000) this.pieces = []
    this.pieces.push({ beginMs, endMs, samples })
    while (this.pieces[0] !== undefined && this.pieces[0].endMs < endMs - KEEP_MS) this.pieces.shift()
    return endMs
  }

  forget(): void {
    this.pieces = []
  }

  // Samples with `fromMs < time <= toMs`, oldest first; `y` is NaN where there is no sample. Two neighbours further apart
  // than `gapMs` have nothing between them.
  each(fromMs: number, toMs: number, visit: (timeMs: number, y: number) => void): void {
    const { gain, offset } = this.channel
    let passed = fromMs
    for (const piece of this.pieces) {
      if (piece.endMs <= passed) continue
      if (piece.beginMs > toMs) break
      const first = Math.max(0, Math.floor((passed - piece.beginMs) / this.periodMs))
      for (let i = first; i < piece.samples.length; i++) {
        const timeMs = piece.beginMs + i * this.periodMs
        if (timeMs <= passed) continue
        if (timeMs > toMs) break
        const raw = piece.samples[i] ?? NO_SAMPLE
        visit(timeMs, raw === NO_SAMPLE ? NaN : offset + gain * raw)
        passed = timeMs
      }
    }
  }

  // Wider than a rounding of wall times, narrower than anything a person could take for a measured line.
  get gapMs(): number {
    return Math.max(2.5 * this.periodMs, this.periodMs + 20)
  }
}

const WINDOW_MS = 6_000
const STEP_MS = 1_000

// Offset between page time and agent wall time: the quickest arrival of the last seconds is the best witness of both clocks.
// It is followed slowly, so that a sweep moves evenly; a step of the agent's clock is followed at once.
export class BedClock {
  private current = Infinity
  private previous = Infinity
  private turnedAt = -Infinity
  private followed: number | undefined
  private followedAt = 0

  observe(now: number, endMs: number): void {
    if (now - this.turnedAt > WINDOW_MS) {
      this.previous = now - this.turnedAt > 2 * WINDOW_MS ? Infinity : this.current
      this.current = Infinity
      this.turnedAt = now
    }
    this.current = Math.min(this.current, now - endMs)
  }

  // The agent's wall time that is "now" on this page; undefined before anything arrived.
  wallAt(now: number): number | undefined {
    const target = Math.min(this.current, this.previous)
    if (!Number.isFinite(target)) return undefined
    const error = this.followed === undefined ? Infinity : target - this.followed
    if (this.followed === undefined || Math.abs(error) > STEP_MS) this.followed = target
    else {
      const slew = 0.04 * Math.max(0, now - this.followedAt)
      this.followed += Math.max(-slew, Math.min(slew, error))
    }
    this.followedAt = now
    return now - this.followed
  }
}
