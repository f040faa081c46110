import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byPreference, Scale, shapeOf, spans, sweepMs, x } from './sweep'

test('one wall time stands at one place on every lane of one sweep, whatever was drawn before', () => {
  assert.equal(x(1_768_360_364_000, 5_000, 455), x(1_768_360_364_000 - 35_000, 5_000, 455))
  assert.equal(x(0, 5_000, 455), 0)
  assert.equal(x(2_500, 5_000, 400), 200)
  assert.equal(x(-1_000, 5_000, 500), 400)
})

test('the erase bar wraps at the right edge into two runs, and a sleep of a whole sweep wipes all', () => {
  assert.deepEqual(spans(1_000, 2_000, 5_000, 500), [[100, 200]])
  assert.deepEqual(spans(4_500, 5_500, 5_000, 500), [[450, 500], [0, 50]])
  assert.deepEqual(spans(0, 5_000, 5_000, 500), [[0, 500]])
  assert.deepEqual(spans(2_000, 1_000, 5_000, 500), [])
})

test('breathing runs four times slower than the rest, in whole seconds of the same clock', () => {
  assert.equal(sweepMs('ecg', 455), 5_000)
  assert.equal(sweepMs('resp', 455), 20_000)
  assert.equal(sweepMs('ecg', 40), 3_000)
  assert.equal(sweepMs('ecg', 9_000), 16_000)
})

test('lead II comes before other leads, and ECG before pleth before breathing', () => {
  const codes = [151552, 150452, 131329, 131330, 4_711].map((code, id) => ({ code, id }))
  assert.deepEqual(codes.sort(byPreference).map((c) => c.code), [131330, 131329, 150452, 151552, 4_711])
  assert.equal(shapeOf(150032), 'abp')
})

test('noise on a flat ECG line stays a flat line', () => {
  const scale = new Scale('mV')
  scale.adapt({ low: -0.01, high: 0.01 }, false)
  const { low, high } = scale.current ?? { low: 0, high: 0 }
  assert.ok(high - low >= 0.6)
})

test('a trace that leaves the lane widens it at once and keeps what was in it', () => {
  const scale = new Scale('mV')
  scale.adapt({ low: 0, high: 1 }, false)
  assert.equal(scale.adapt({ low: 0.2, high: 0.9 }, false), false)
  assert.equal(scale.adapt({ low: -2, high: 0.9 }, false), true)
  const range = scale.current
  assert.ok(range !== undefined && range.low < -2 && range.high >= 1)
})

test('a scale narrows by at most a fifth, and only when a sweep is complete', () => {
  const scale = new Scale('mV')
  scale.adapt({ low: 0, high: 10 }, false)
  const before = scale.current
  assert.equal(scale.adapt({ low: 0, high: 1 }, false), false)
  assert.equal(scale.adapt({ low: 0, high: 1 }, true), true)
  const after = scale.current
  assert.ok(before !== undefined && after !== undefined)
  assert.ok(Math.abs((after.high - after.low) / (before.high - before.low) - 0.8) < 1e-9)
})
