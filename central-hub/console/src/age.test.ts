import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hubLink, judge, shown } from './age'
import type { Pace } from './api'

const at = (age_ms: number, pace: Pace = 'continuous', quality: string[] = []) => ({ age_ms, pace, quality })
const freshness = (age: number, since: number, pace: Pace = 'continuous', lost = false) =>
  judge(at(age, pace), since, lost).freshness

test('a continuous value says nothing up to three seconds, then its age, then dims, and is gone after ten', () => {
  assert.equal(freshness(3_000, 0), 'fresh')
  assert.equal(freshness(3_001, 0), 'aging')
  assert.equal(freshness(5_001, 0), 'old')
  assert.equal(freshness(10_000, 0), 'old')
  assert.equal(freshness(10_001, 0), 'gone')
})

test('age goes on locally from the moment the frame arrived', () => {
  assert.deepEqual(judge(at(400), 1_000, false), { freshness: 'fresh', ageMs: 1_400 })
  assert.deepEqual(judge(at(400), 9_700, false), { freshness: 'gone', ageMs: 10_100 })
})

test('a page clock that runs backwards never makes a value younger than the hub said', () => {
  assert.equal(judge(at(3_000), -5_000, false).ageMs, 3_000)
})

test('when the hub is lost no value is fresh, however young', () => {
  for (const pace of ['continuous', 'trend', 'episodic'] as const) assert.equal(freshness(100, 0, pace, true), 'old')
})

test('a value the hub calls stale is gone at any age, and keeps its age', () => {
  assert.deepEqual(judge(at(300, 'continuous', ['stale']), 200, false), { freshness: 'gone', ageMs: 500 })
})

test('an age that is no number is gone, not fresh', () => {
  assert.equal(freshness(NaN, 0), 'gone')
})

test('a trend value is never shown without its age', () => {
  assert.equal(freshness(100, 0, 'trend'), 'aging')
  assert.equal(freshness(121_000, 0, 'trend'), 'old')
  assert.equal(freshness(301_000, 0, 'trend'), 'gone')
})

test('an episodic value dims after an hour and goes before its clock time could mean another day', () => {
  assert.equal(freshness(12 * 60_000, 0, 'episodic'), 'fresh')
  assert.equal(freshness(61 * 60_000, 0, 'episodic'), 'old')
  assert.equal(freshness(12 * 3_600_000 + 1, 0, 'episodic'), 'gone')
})

test('a gone value shows no digit', () => {
  const words = shown({ value: '152', quality: [] }, 'gone')
  assert.equal(words.text, '-?-')
  assert.equal(words.isNumber, false)
})

test('what the device says it does not have is not what has gone old', () => {
  assert.equal(shown({ value: null, quality: ['unavailable'] }, 'fresh').text, '---')
  assert.equal(shown({ value: null, quality: ['stale'] }, 'gone').text, '-?-')
})

test('a value of a device in demo mode is hidden', () => {
  assert.equal(shown({ value: '140', quality: ['demo'] }, 'fresh').text, 'DEMO')
})

test('a doubtful or implausible value stays on the screen with its mark', () => {
  assert.deepEqual(shown({ value: '93', quality: ['questionable'] }, 'fresh').marks, ['?'])
  assert.deepEqual(shown({ value: '0', quality: ['implausible'] }, 'fresh'), {
    text: '0', isNumber: true, marks: ['IMPLAUSIBLE'], dim: false,
  })
  assert.equal(shown({ value: '0', quality: ['invalid'] }, 'fresh').dim, true)
})

test('the hub is lost the moment the stream breaks, or after five silent seconds', () => {
  assert.equal(hubLink(0, false), 'lost')
  assert.equal(hubLink(2_900, true), 'live')
  assert.equal(hubLink(3_100, true), 'late')
  assert.equal(hubLink(5_100, true), 'lost')
  assert.equal(hubLink(Infinity, true), 'lost')
})
