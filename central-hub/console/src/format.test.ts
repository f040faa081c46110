import assert from 'node:assert/strict'
import { test } from 'node:test'
import { age, asterisks, clock, clockError, counter, duration, gestation, grams, hubClockError, label, lasting, ucumText } from './format'

test('durations count up as on a stopwatch', () => {
  assert.deepEqual([0, 19_999, 725_000, 3_723_000, -5].map(duration), ['0:00', '0:19', '12:05', '1:02:03', '0:00'])
  assert.deepEqual([42_000, 90_061_000].map(counter), ['00:00:42', '25:01:01'])
})

test('an age is rounded down within its unit and its unit grows with it', () => {
  assert.deepEqual([0, 2_999, 99_999, 100_000, 5_999_000, 6_000_000].map(age), ['0 s', '2 s', '99 s', '1 min', '99 min', '1 h'])
  assert.equal(age(NaN), '?')
})

test('how long something lasted is said in the two units that matter', () => {
  const hour = 3_600_000
  assert.deepEqual([0, 300, 42_400, 119_000, 120_000, 59 * 60_000, hour, 3.08 * hour, 47.9 * hour, 52 * hour].map(lasting), ['0 s', '< 1 s', '42 s', '119 s', '2 min', '59 min', '1 h 00 min', '3 h 05 min', '47 h 54 min', '2 d 4 h'])
  assert.equal(lasting(Infinity), '?')
})

test('a clock time is local, with leading zeros, and survives nonsense', () => {
  const at = new Date(2026, 0, 14, 3, 2, 4).getTime()
  assert.equal(clock(at), '03:02')
  assert.equal(clock(at, true), '03:02:04')
  assert.equal(clock(NaN), '--:--')
})

test('a device clock is noted when a reading of it would mislead', () => {
  const off = (offset_ms: number): string | null => clockError({ state: 'steady', offset_ms, uncertainty_ms: 700 })
  assert.deepEqual([0, -60_000, 192_000, -7_200_000].map(off), [null, null, 'clock 3 min fast', 'clock 2 h slow'])
  assert.equal(hubClockError(-45_000), 'clock 45 s behind the hub')
  assert.equal(clockError({ state: 'unset', offset_ms: 0, uncertainty_ms: 0 }), 'clock not set')
})

test('a newborn is described as the ward says it', () => {
  assert.equal(gestation({ weeks: 32, days: 4 }), '32+4')
  assert.equal(gestation(null), '')
  assert.equal(grams(1820), '1820 g')
})

test('UCUM becomes what a monitor prints, and an unknown code stays itself', () => {
  assert.deepEqual(['{beats}/min', 'mm[Hg]', 'Cel', 'cm[H2O]', 'mmol/L'].map(ucumText), ['/min', 'mmHg', '°C', 'cmH₂O', 'mmol/L'])
  assert.equal(label('SpO2 71 < 85'), 'SpO₂ 71 < 85')
})

test('priority is told by asterisks as well as by colour', () => {
  assert.deepEqual((['high', 'medium', 'low', 'advisory'] as const).map(asterisks), ['***', '**', '*', ''])
})
