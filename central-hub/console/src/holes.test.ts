import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Gap } from './api'
import { atTheEnd, before, causeWords, isIn, kindOf, listed, middleOf, shadeAt, shades, together, wordsFor } from './holes'

const MINUTE = 60_000
const at = (hour: number, minute: number, second = 0): number => new Date(2026, 0, 14, hour, minute, second).getTime()
const gap = (from: number, to: number, cause: string, device: string | null = null): Gap => ({ from_ms: from, to_ms: to, cause, lane: 'numeric', link: device === null ? null : 0, device, count: null })

test('every cause has words, and one that this page has not met keeps its own', () => {
  assert.equal(causeWords('cable-out'), 'cable out')
  assert.equal(causeWords('eaten-by-moths'), 'eaten by moths')
  assert.deepEqual(['cable-out', 'waiting', 'not-heard', 'unexplained', 'eaten-by-moths'].map(kindOf), ['lost', 'coming', 'coming', 'unexplained', 'lost'])
})

test('a lane is shaded by its own holes and those of the whole bed, cut to the window', () => {
  const gaps = [gap(0, 10, 'agent-down'), gap(20, 30, 'cable-out', 'monitor'), gap(40, 50, 'cable-out', 'ventilator')]
  assert.deepEqual(shades(gaps, 'monitor', 5, 45), [{ from: 5, to: 10, cause: 'agent-down' }, { from: 20, to: 30, cause: 'cable-out' }])
})

test('holes over each other become pieces that do not overlap, the graver one on top', () => {
  const gaps = [gap(0, 100, 'waiting'), gap(20, 60, 'cable-out', 'monitor'), gap(50, 80, 'unexplained', 'monitor')]
  const found = shades(gaps, 'monitor', 0, 100)
  assert.deepEqual(found.map(({ from, to, cause }) => [from, to, cause]), [[0, 20, 'waiting'], [20, 50, 'cable-out'], [50, 80, 'unexplained'], [80, 100, 'waiting']])
  assert.equal(shadeAt(found, 79)?.cause, 'unexplained')
  assert.equal(shadeAt(found, 100), undefined)
})

test('holes of one cause that touch are one', () => {
  assert.deepEqual(shades([gap(0, 10, 'cable-out'), gap(10, 20, 'cable-out')], 'monitor', 0, 50), [{ from: 0, to: 20, cause: 'cable-out' }])
})

test('words lie in a wide hole, stand in a narrow one, are shorter where there is less room, and go where there is none', () => {
  const shade = { from: 0, to: 27 * MINUTE, cause: 'cable-out' }
  const measure = (text: string): number => text.length * 7
  assert.deepEqual(wordsFor(shade, 200, 100, measure), { text: 'cable out · 27 min', upright: false })
  assert.deepEqual(wordsFor(shade, 90, 100, measure), { text: 'cable out', upright: false })
  assert.deepEqual(wordsFor(shade, 20, 150, measure), { text: 'cable out · 27 min', upright: true })
  assert.equal(wordsFor({ ...shade, cause: 'waiting' }, 20, 80, measure)?.text, 'waiting')
  assert.equal(wordsFor(shade, 10, 150, measure), undefined)
  assert.equal(wordsFor(shade, 20, 60, measure), undefined)
})

test('the list reads from to, cause, device, length, newest first', () => {
  const [last, first] = listed([gap(at(12, 4), at(12, 31), 'cable-out', 'ventilator'), gap(at(13, 0, 5), at(13, 0, 47), 'agent-down')], at(14, 0))
  assert.deepEqual([first?.when, first?.what, first?.long], ['12:04–12:31', 'cable out (ventilator)', '27 min'])
  assert.deepEqual([last?.when, last?.what, last?.long], ['13:00:05–13:00:47', 'gateway was off', '42 s'])
})

test('what happens to several devices at once is one line, what goes on ends now', () => {
  const gaps = [gap(at(13, 50), at(14, 0), 'cable-out', 'ventilator'), gap(at(13, 50), at(14, 0), 'cable-out', 'monitor')]
  assert.deepEqual(listed(gaps, at(14, 0)).map((hole) => `${hole.when} ${hole.what}`), ['13:50–now cable out (monitor, ventilator)'])
})

test('what the gateway does to all its devices alike names none of them', () => {
  const gaps = [gap(at(13, 0), at(13, 5), 'agent-down', 'monitor'), gap(at(13, 0), at(13, 5), 'agent-down', 'oximeter')]
  assert.deepEqual(listed(gaps, at(14, 0)).map((hole) => hole.what), ['gateway was off'])
})

test('what flickers is one line that says how often and how long together', () => {
  const flicker = Array.from({ length: 20 }, (_, i) => gap(at(12, i), at(12, i, 3), 'undecodable', 'monitor'))
  const found = listed([...flicker, gap(at(12, 5, 30), at(12, 6, 30), 'cable-out', 'monitor')], at(14, 0))
  assert.deepEqual(found.map((hole) => `${hole.when} ${hole.what} ${hole.long}`), ['12:05:30–12:06:30 cable out (monitor) 60 s', '12:00–12:19 not readable (monitor) 20 × · 60 s'])
})

test('the cursor goes to the longest piece of what flickers, as far as it is on the screen', () => {
  const hole = { pieces: [{ from: 0, to: 2 }, { from: 10, to: 20 }, { from: 30, to: 34 }] }
  assert.equal(middleOf(hole, 0, 100), 15)
  assert.equal(middleOf(hole, 18, 100), 32)
  assert.deepEqual([1, 5, 20, 33].map((at) => isIn(hole, at)), [true, false, false, true])
})

test('holes that overlap are counted once', () => {
  assert.equal(together([{ from: 0, to: 10 }, { from: 5, to: 8 }, { from: 9, to: 20 }, { from: 30, to: 31 }]), 21)
})

test('what waits at the end is said in the words of now: gateway not heard, device silent, or nothing while it is on its way', () => {
  const waiting = gap(at(13, 40), at(14, 0), 'waiting', 'monitor')
  const said = (agent: 'live' | 'lost', state: string, of = waiting): string[] =>
    atTheEnd([of], at(14, 0), { agent, devices: [{ name: 'monitor', state }] }).map((g) => g.cause)
  assert.deepEqual(said('live', 'live'), ['waiting'])
  assert.deepEqual(said('live', 'silent'), ['device-silent'])
  assert.deepEqual(said('lost', 'live'), ['not-heard'])
  assert.deepEqual(said('live', 'live', gap(at(13, 59), at(14, 0), 'waiting', 'monitor')), [])
  assert.deepEqual(said('live', 'silent', gap(at(12, 0), at(13, 0), 'waiting', 'monitor')), ['waiting'])
})

test('the time before the bed changed hands lies over everything and is no hole', () => {
  const stretch = before(50, 0, 100)
  assert.deepEqual(shades([...stretch, gap(20, 80, 'unexplained')], 'monitor', 0, 100).map(({ from, to, cause }) => [from, to, cause]), [[0, 50, 'other-child'], [50, 80, 'unexplained']])
  assert.deepEqual(before(null, 0, 100), [])
  assert.deepEqual(before(0, 0, 100), [])
})
