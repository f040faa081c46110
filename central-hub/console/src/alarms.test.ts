import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alarmsOf, byUrgency, highlight, isShown, mannerOf, remarks } from './alarms'
import type { Alarm, BedView } from './api'

const alarm = (more: Partial<Alarm>): Alarm => ({
  episode: 1, version: 1, rule: 'limit-low', kind: 'physiological', priority: 'high', condition: 'active',
  site: null, inactivation: { state: 'enabled' }, code: 150456, value: '71', limit: '85', ucum: '%', text: 'SpO2 71 < 85',
  onset_ms: 90_000, active_ms: 100_000, recorded: true, ...more,
})
const bed = (name: string, alarms: Alarm[], more: Partial<BedView> = {}): BedView => ({
  bed: name, state: 'occupied', patient: null, agent: null, devices: [], values: [], limits: [], limits_state: 'none',
  alarms, link_lost_ms: null, ...more,
})

test('an alarm that is still delaying takes no alarm colour and no place in the strip', () => {
  assert.equal(isShown(alarm({ condition: 'delaying' })), false)
  assert.deepEqual(alarmsOf(bed('01', [alarm({ condition: 'delaying' })]), 200_000), [])
})

test('the highest comes first, and among equals the newest', () => {
  const order = [
    ...alarmsOf(bed('01', [alarm({ episode: 1, priority: 'medium', active_ms: 199_000 })]), 200_000),
    ...alarmsOf(bed('02', [alarm({ episode: 2, active_ms: 100_000 }), alarm({ episode: 3, active_ms: 150_000 })]), 200_000),
    ...alarmsOf(bed('03', [alarm({ episode: 4, priority: 'low' })]), 200_000),
  ].sort(byUrgency)
  assert.deepEqual(order.map((a) => a.key), ['02/3', '02/2', '01/1', '03/4'])
})

test('paused and acknowledged alarms stop flashing and keep their colour', () => {
  assert.equal(mannerOf(alarm({})), 'flash')
  assert.equal(mannerOf(alarm({ inactivation: { state: 'audio-paused' } })), 'solid')
  assert.equal(mannerOf(alarm({ inactivation: { state: 'acknowledged' } })), 'solid')
})

test('latched high goes on as active; latched medium becomes a plain message', () => {
  assert.equal(mannerOf(alarm({ condition: 'latched' })), 'flash')
  assert.equal(mannerOf(alarm({ condition: 'latched', priority: 'medium' })), 'plain')
})

test('an occupied bed that is not heard raises NO DATA by itself, an available one does not', () => {
  const lost = alarmsOf(bed('08', [], { link_lost_ms: 42_000 }), 200_000)
  assert.deepEqual(lost.map((a) => [a.text, a.priority, a.sinceMs]), [['NO DATA', 'medium', 42_000]])
  assert.deepEqual(alarmsOf(bed('08', [], { link_lost_ms: 42_000, state: 'available' }), 200_000), [])
})

test('only the number that an alarm names takes its colour', () => {
  const alarms = alarmsOf(bed('02', [alarm({})]), 200_000)
  assert.equal(highlight(alarms, [150456])?.priority, 'high')
  assert.equal(highlight(alarms, [147842]), undefined)
})

test('a pause says how long it still lasts, and an unrecorded alarm says so', () => {
  const pause = { state: 'audio-paused', until_us: 267_000_000 }
  const [paused] = alarmsOf(bed('06', [alarm({ inactivation: pause, recorded: false })]), 200_000)
  assert.ok(paused !== undefined)
  assert.deepEqual(remarks(paused, 200_000), ['AUDIO PAUSED 1:07', 'NOT RECORDED'])
})

test('who acknowledged and when, what is only sent, and what was refused are said in words', () => {
  const [acked] = alarmsOf(bed('06', [alarm({ inactivation: { state: 'acknowledged', by: 'K. Lund', at_us: 0 } })]), 200_000)
  assert.ok(acked !== undefined)
  assert.deepEqual([acked.manner, acked.sign, acked.note], ['solid', 'acknowledged', 'ACK by K. Lund'])
  const [sent] = alarmsOf(bed('06', [alarm({ requested: { act: 'acknowledge', by: 'K. Lund', state: 'sent' } })]), 200_000)
  assert.ok(sent !== undefined)
  assert.deepEqual([sent.manner, remarks(sent, 0)], ['flash', ['ACK SENT by K. Lund']])
  const [refused] = alarmsOf(bed('06', [alarm({ requested: { act: 'acknowledge', by: 'K. Lund', state: 'refused', words: 'it has got worse' } })]), 200_000)
  assert.deepEqual(refused === undefined ? [] : remarks(refused, 0), ['ACK REFUSED: it has got worse'])
})

test('nobody can answer what the hub says by itself, and it is not said twice', () => {
  const offline = alarm({ episode: 'hub-agent-offline-1', rule: 'hub-agent-offline', kind: 'technical', priority: 'medium', text: 'OFFLINE' })
  const shown = alarmsOf(bed('08', [offline], { link_lost_ms: 9_000 }), 200_000)
  assert.deepEqual(shown.map((a) => [a.text, a.episode]), [['OFFLINE', null]])
})

test('an accepted alarm says who goes, an escalated one whom it calls', () => {
  const words = (responsibility: Alarm['responsibility']): string[] => alarmsOf(bed('06', [alarm({ responsibility: responsibility ?? null })]), 200_000).flatMap((a) => remarks(a, 0))
  assert.deepEqual(words({ state: 'accepted', by: 'ana' }), ['ACCEPTED by ana'])
  assert.deepEqual(words({ state: 'undefined', tier: 0, called: { people: ['ana'], stations: true, unit: false } }), [])
  assert.deepEqual(words({ state: 'rejected', by: 'ana', tier: 1, called: { people: ['bo'], stations: true, unit: false } }), ['PASSED ON by ana, CALLS bo'])
})

test('the technical stands behind the patient’s at equal priority', () => {
  const order = alarmsOf(bed('01', [alarm({ episode: 1, kind: 'technical', active_ms: 199_000 }), alarm({ episode: 2, active_ms: 100_000 })]), 200_000)
  assert.deepEqual(order.map((a) => a.key), ['01/2', '01/1'])
})
