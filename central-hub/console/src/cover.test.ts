import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Coverage } from './api'
import { causes, dayBounds, dayName, lastDays, offBy, percent, remarks, settled, sharesOf, sign } from './cover'

const DAY_S = 86_400
const day = (received: number, missing: Record<string, number> = {}, waiting = 0, unexplained = 0): Coverage => ({ received_s: received, missing, waiting_s: waiting, unexplained_s: unexplained })

test('a day is full only when no second is missing', () => {
  assert.equal(percent(DAY_S, DAY_S), '100 %')
  assert.equal(percent(DAY_S - 1, DAY_S), '99.9 %')
  assert.equal(percent(0, DAY_S), '0.0 %')
  assert.equal(percent(0, 0), '')
})

test('the sign alone tells how much is there', () => {
  assert.deepEqual([DAY_S, DAY_S - 1, 50_000, 100, 0].map((seconds) => sign(seconds, DAY_S)).join(''), '●◕◑◔○')
})

test('what is unexplained is said first, then by weight', () => {
  assert.deepEqual(remarks(day(80_000, { 'cable-out': 720, 'agent-down': 3_900 }, 1_000, 42)), ['unexplained 42 s', 'gateway off 1 h 05 min', 'waiting 17 min', 'cable out 12 min'])
  assert.deepEqual(remarks(day(DAY_S, { 'cable-out': 0 })), [])
  assert.deepEqual(causes(day(1, { b: 5, a: 5, c: 9 })).map(([cause]) => cause), ['c', 'a', 'b'])
})

test('one second among a day is still seen in the bar, and the bar is whole', () => {
  const shares = sharesOf(day(DAY_S - 1, {}, 0, 1), DAY_S)
  assert.deepEqual(shares.map((share) => share.kind), ['received', 'unexplained'])
  assert.ok((shares[1]?.share ?? 0) > 0.015)
  assert.equal(shares.reduce((sum, share) => sum + share.share, 0).toFixed(9), '1.000000000')
  assert.deepEqual(sharesOf(day(0), 0), [])
})

test('books that do not balance are noticed', () => {
  assert.equal(offBy(day(80_000, { 'cable-out': 400 }, 6_000, 0), DAY_S), 0)
  assert.equal(offBy(day(80_000, {}, 6_000, 0), DAY_S), -400)
})

test('the last seconds of a day that goes on are on their way, those of a day that is over are not', () => {
  const today = { ...day(500, {}, 10), expected_s: 510 }
  assert.deepEqual([settled(today, true).expected_s, settled(today, true).waiting_s], [500, 0])
  assert.equal(settled(today, false), today)
  const late = { ...day(500, {}, 600), expected_s: 1_100 }
  assert.equal(settled(late, true), late)
})

test('the days are the hub’s: UTC, oldest first, today last', () => {
  assert.deepEqual(lastDays(Date.UTC(2026, 2, 1, 0, 30), 3), ['2026-02-27', '2026-02-28', '2026-03-01'])
  assert.equal(dayBounds('2026-03-01').to - dayBounds('2026-03-01').from, DAY_S * 1000)
  assert.equal(dayName('2026-03-01'), 'Sun 1 Mar')
  assert.equal(dayName('soon'), 'soon')
})
