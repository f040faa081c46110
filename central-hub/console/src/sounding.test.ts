import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alarmsOf, own } from './alarms'
import type { Alarm, BedView } from './api'
import { demanded, demandedOf, paintedBeats } from './sounding'

const alarm = (more: Partial<Alarm>): Alarm => ({
  episode: '1', version: 3, rule: 'limit-low', kind: 'physiological', priority: 'medium', condition: 'active', site: null,
  inactivation: { state: 'enabled' }, code: 150456, value: '82', limit: '85', ucum: '%', text: 'SpO2 82 < 85', onset_ms: 0, active_ms: 0, recorded: true, ...more,
})
const at = (...alarms: Alarm[]) =>
  alarmsOf({ bed: '01', state: 'occupied', patient: null, agent: null, devices: [], values: [], limits: [], limits_state: 'none', alarms, link_lost_ms: null } as BedView, 60_000)

test('only the highest enabled alarm of the covered beds sounds', () => {
  const beds: Record<string, ReturnType<typeof at>> = { '01': at(alarm({ priority: 'low' })), '02': at(alarm({})), '03': at(alarm({ priority: 'high' })) }
  assert.equal(demandedOf(['01', '02', '03'], (bed) => beds[bed]), 'high')
  assert.equal(demandedOf(['01', '02'], (bed) => beds[bed]), 'medium')
  assert.equal(demandedOf(['01'], (bed) => beds[bed]), 'low')
  assert.equal(demandedOf([], (bed) => beds[bed]), 'none')
})

test('what is paused, acknowledged, delaying or advisory is silent; a new or higher one sounds beside it', () => {
  const quiet = [
    alarm({ inactivation: { state: 'audio-paused' } }), alarm({ inactivation: { state: 'acknowledged' } }),
    alarm({ condition: 'delaying' }), alarm({ priority: 'advisory' }),
  ]
  assert.equal(demanded(at(...quiet)), 'none')
  assert.equal(demanded(at(...quiet, alarm({ episode: '9', priority: 'high' }))), 'high')
})

test('a command that is only on its way silences nothing', () => {
  assert.equal(demanded(at(alarm({ requested: { act: 'acknowledge', by: 'K. Lund' } }))), 'medium')
})

test('latched high goes on sounding, latched medium does not', () => {
  assert.equal(demanded(at(alarm({ condition: 'latched', priority: 'high' }))), 'high')
  assert.equal(demanded(at(alarm({ condition: 'latched' }))), 'none')
})

test('a covered bed that the page knows nothing of sounds like one without data', () => {
  assert.equal(demandedOf(['01'], () => undefined), 'medium')
  assert.equal(demanded([own('08', 'no-data', 'medium', 'NO DATA', 0)]), 'medium')
})

test('a receipt names only beds whose leading alarm, at its version, is on the page', () => {
  const known = (bed: string) => ({ '01': at(alarm({})), '02': at() })[bed]
  const beats = { '01': 10, '02': 20, '03': 30 }
  assert.deepEqual(paintedBeats(beats, known, () => false), { '02': 20 })
  assert.deepEqual(paintedBeats(beats, known, (mark) => mark === '01/1@3'), { '01': 10, '02': 20 })
  assert.deepEqual(paintedBeats(beats, known, (mark) => mark === '01/1@2'), { '02': 20 })
})
