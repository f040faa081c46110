import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_SAMPLE } from './frames'
import { WAVE_DELAY_MS } from './sweep'
import { BedClock, Trace } from './trace'
import { Sweep } from './wave'

const WIDTH = 400
const PERIOD_MS = 4
const CHUNK_MS = 200
const COLOURS = { ecg: 'g', pleth: 'b', resp: 'w', abp: 'p', other: 'o' }
const CHANNEL = { id: 1, bed: '01', code: 131330, label: 'ECG II', ucum: 'mV', period_us: 4000, gain: 1, offset: 0, device: 'monitor' }

interface Segment {
  from: number
  to: number
}

// A canvas that remembers what was stroked and wiped.
class Paper {
  width = 0
  height = 0
  segments: Segment[] = []
  wiped: [number, number][] = []
  private at = 0
  getContext(): unknown {
    return {
      clearRect: (left: number, _top: number, width: number) => this.wiped.push([left, left + width]),
      beginPath: () => undefined,
      moveTo: (x: number) => (this.at = x),
      lineTo: (x: number) => {
        this.segments.push({ from: this.at, to: x })
        this.at = x
      },
      stroke: () => undefined,
    }
  }
}

// Chunks arrive as they are measured, the page paints every 33 ms; `sample` says what the device measured at a time.
function run(untilMs: number, sample: (ms: number) => number | undefined, lost: (chunk: number) => boolean = () => false): Paper {
  const paper = new Paper()
  const clock = new BedClock()
  const trace = new Trace(CHANNEL)
  const sweep = new Sweep(paper as unknown as HTMLCanvasElement, clock, COLOURS)
  sweep.show([trace])
  sweep.resize(WIDTH, 100, 1)
  let sent = 0
  for (let now = 0; now <= untilMs; now += 33) {
    while ((sent + 1) * CHUNK_MS <= now) {
      const begin = sent * CHUNK_MS
      const count = CHUNK_MS / PERIOD_MS
      const samples = Int32Array.from({ length: count }, (_, i) => sample(begin + i * PERIOD_MS) ?? NO_SAMPLE)
      sent += 1
      if (!lost(sent)) clock.observe(now, trace.push(begin, samples))
    }
    sweep.paint(now)
  }
  return paper
}

const square = (ms: number): number => (Math.floor(ms / 100) % 2 === 0 ? 0 : 1)
// 400 px are four seconds at 25 mm/s.
const PX_PER_MS = WIDTH / 4_000

test('each sample is drawn once: what a frame costs does not depend on what is already on the screen', () => {
  const early = run(2_500, square).segments.length
  const late = run(3_500, square).segments.length
  assert.ok(Math.abs(late - early - 1_000 / PERIOD_MS) <= 33 / PERIOD_MS + 1, `${late - early} segments for 1 s`)
})

test('missing samples leave a gap, and no line crosses it', () => {
  const paper = run(3_900, (ms) => (ms >= 1_000 && ms < 1_500 ? undefined : square(ms)))
  assert.ok(paper.segments.length > 300)
  for (const { from, to } of paper.segments) {
    assert.ok(Math.abs(to - from) <= 25 * PX_PER_MS, `a line from ${from} to ${to}`)
    assert.ok(!(to > 1_000 * PX_PER_MS && to < 1_500 * PX_PER_MS), 'something is drawn where nothing was measured')
  }
})

test('a lost chunk leaves a gap too', () => {
  const paper = run(3_900, square, (chunk) => chunk === 5)
  for (const { from, to } of paper.segments) assert.ok(Math.abs(to - from) <= 25 * PX_PER_MS)
})

test('no line runs back from the right edge to the left', () => {
  const paper = run(9_000, square)
  for (const { from, to } of paper.segments) assert.ok(to >= from)
})

test('the wave is drawn late by the fixed delay, and the bar wipes ahead of it', () => {
  const paper = run(3_000, square)
  const head = Math.max(...paper.segments.map((s) => s.to))
  const expected = (3_000 - WAVE_DELAY_MS) * PX_PER_MS
  assert.ok(Math.abs(head - expected) < 12, `head at ${head}, expected ${expected}`)
  assert.ok(Math.max(...paper.wiped.map(([, to]) => (to < WIDTH ? to : 0))) > head)
})
