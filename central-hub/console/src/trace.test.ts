import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_SAMPLE } from './frames'
import { BedClock, Trace } from './trace'

const channel = { id: 1, bed: '01', code: 131330, label: 'ECG II', ucum: 'mV', period_us: 4000, gain: 0.5, offset: 1, device: 'monitor' }
const all = (trace: Trace, from: number, to: number): [number, number][] => {
  const seen: [number, number][] = []
  trace.each(from, to, (t, y) => seen.push([t, y]))
  return seen
}

test('each sample is visited once, with its own time and its physical value', () => {
  const trace = new Trace(channel)
  assert.equal(trace.push(1_000, Int32Array.of(0, 2, 4)), 1_012)
  trace.push(1_012, Int32Array.of(6))
  assert.deepEqual(all(trace, 999, 1_004), [[1_000, 1], [1_004, 2]])
  assert.deepEqual(all(trace, 1_004, 2_000), [[1_008, 3], [1_012, 4]])
})

test('a missing sample is no number, and a missing chunk leaves more than the gap between two samples', () => {
  const trace = new Trace(channel)
  trace.push(0, Int32Array.of(0, NO_SAMPLE))
  trace.push(500, Int32Array.of(0))
  const seen = all(trace, -1, 1_000)
  assert.ok(Number.isNaN(seen[1]?.[1]))
  assert.ok((seen[2]?.[0] ?? 0) - (seen[1]?.[0] ?? 0) > trace.gapMs)
})

test('h2: of a child that has left nothing stays to be drawn', () => {
  const trace = new Trace(channel)
  trace.push(0, Int32Array.of(0, 2, 4))
  trace.forget()
  assert.deepEqual(all(trace, -1, 1_000), [])
})

test('chunks that overlap do not run backwards', () => {
  const trace = new Trace(channel)
  trace.push(0, Int32Array.of(0, 0, 0))
  trace.push(6, Int32Array.of(0, 0))
  const times = all(trace, -1, 1_000).map(([t]) => t)
  assert.deepEqual(times, [...times].sort((a, b) => a - b))
})

test('a clock that was set back forgets what lay ahead of it', () => {
  const trace = new Trace(channel)
  trace.push(100_000, Int32Array.of(0))
  trace.push(50_000, Int32Array.of(8))
  assert.deepEqual(all(trace, 0, 200_000), [[50_000, 5]])
})

test('the quickest arrival sets the bed clock, and a slower one does not move it', () => {
  const clock = new BedClock()
  assert.equal(clock.wallAt(0), undefined)
  clock.observe(1_000, 501_000)
  clock.observe(1_400, 501_250)
  assert.equal(clock.wallAt(1_400), 501_400)
})

test('a small drift is followed slowly and a step at once', () => {
  const clock = new BedClock()
  clock.observe(0, 10_000)
  assert.equal(clock.wallAt(0), 10_000)
  clock.observe(100, 10_200)
  const soon = clock.wallAt(100) ?? 0
  assert.ok(soon > 10_100 && soon < 10_110)
  clock.observe(200, 60_000)
  assert.equal(clock.wallAt(200), 60_000)
})
