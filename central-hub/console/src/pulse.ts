// The page's only clock: one animation frame loop at 30 frames a second drives the sweeps, the flashing and the seconds.

import { signal } from '@preact/signals'

const FRAME_MS = 1000 / 30
// Ages, counters and the clock are looked at four times a second.
const LOOK_MS = 250

export type Painter = (now: number) => void

// performance.now() of the last look.
export const now = signal(performance.now())
export const framesPerSecond = signal(0)

const painters = new Set<Painter>()
let wallOffset = Date.now() - performance.now()
let wallHeard = false
let nextFrame = 0
let nextLook = 0
let counted = 0
let countedSince = performance.now()

// The hub's wall time by the page's monotonic clock, so that mirrored screens flash and tick together.
export function setWall(hubAtMs: number, receivedAt: number): void {
  const seen = hubAtMs - receivedAt
  // The quickest frame is the truest; small lags are ignored, a set clock is followed.
  if (!wallHeard || seen > wallOffset || wallOffset - seen > 2_000) wallOffset = seen
  wallHeard = true
}

export function wall(at: number): number {
  return at + wallOffset
}

export function paint(painter: Painter): () => void {
  painters.add(painter)
  return () => painters.delete(painter)
}

// 2 Hz for high, 0.5 Hz for medium, half on, half off, from one counter.
export function flashPhase(wallMs: number): { fast: boolean; slow: boolean } {
  const quarter = Math.floor(wallMs / 250)
  return { fast: quarter % 2 === 0, slow: quarter % 8 < 4 }
}

function frame(at: number): void {
  requestAnimationFrame(frame)
  if (at < nextFrame - 2) return
  nextFrame = Math.max(nextFrame + FRAME_MS, at)
  for (const painter of painters) painter(at)
  counted += 1
  flash(wall(at))
  if (at >= nextLook) {
    nextLook = at + LOOK_MS
    now.value = performance.now()
    if (at - countedSince >= 2_000) {
      framesPerSecond.value = (counted * 1000) / (at - countedSince)
      counted = 0
      countedSince = at
    }
  }
}

function flash(wallMs: number): void {
  const { fast, slow } = flashPhase(wallMs)
  const root = document.documentElement
  const state = `${fast ? 'fast' : ''} ${slow ? 'slow' : ''}`.trim()
  if (root.dataset['on'] !== state) root.dataset['on'] = state
}

export function start(): void {
  requestAnimationFrame(frame)
}
