import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Gap } from './api'
import { causeWords, kindOf, listed, shadeAt, shades, stillOpen, together, wordsFor } from './holes'

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

test('holes that overlap are counted once', () => {
  assert.equal(together([{ from: 0, to: 10 }, { from: 5, to: 8 }, { from: 9, to: 20 }, { from: 30, to: 31 }]), 21)
})

test('after the last bucket a silent device is said to be silent, a gateway not heard may still bring it', () => {
  const trends = [{ device: 'monitor', points: [[0, 1, 1, 1, 60, 1] as [number, number, number, number, number, number]] }]
  const open = (agent: 'live' | 'lost', state: string, to: number): string[] =>
    stillOpen(trends, [], to, MINUTE, { agent, devices: [{ name: 'monitor', state }] }).map((g) => `${g.from_ms / MINUTE} ${g.cause}`)
  assert.deepEqual(open('live', 'silent', 10 * MINUTE), ['1 device-silent'])
  assert.deepEqual(open('live', 'live', 10 * MINUTE), ['1 waiting'])
  assert.deepEqual(open('lost', 'live', 10 * MINUTE), ['1 not-heard'])
  assert.deepEqual(open('live', 'live', 2.5 * MINUTE), [])
})

test('what a hole on record covers is not open', () => {
  const trends = [{ device: 'monitor', points: [[0, 1, 1, 1, 60, 1] as [number, number, number, number, number, number]] }]
  const now = { agent: 'live' as const, devices: [{ name: 'monitor', state: 'live' }] }
  assert.deepEqual(stillOpen(trends, [gap(MINUTE, 10 * MINUTE, 'cable-out', 'monitor')], 10 * MINUTE, MINUTE, now), [])
})
