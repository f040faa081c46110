import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BedView, Value } from './api'
import { limitsOf, pick, placeLabel } from './pick'

const value = (code: number, label: string, more: Partial<Value> = {}): Value => ({
  code, label, name: label, site: null, value: '1', ucum: '1', age_ms: 100, at_ms: 0, pace: 'continuous', quality: [],
  device: 'monitor', setting: false, ...more,
})
const bed = (values: Value[]): BedView => ({
  bed: '01', state: 'occupied', patient: null, agent: null, devices: [], values, limits: [], limits_state: 'none',
  alarms: [], link_lost_ms: null,
})

test('a pulse rate stands in for a lost heart rate, under its own label', () => {
  const both = [value(149530, 'PR'), value(147842, 'HR')]
  assert.equal(placeLabel('hr', pick(bed(both), 0, false).places.hr), 'HR')
  const lost = [value(149530, 'PR'), value(147842, 'HR', { value: null, quality: ['stale'] })]
  assert.equal(placeLabel('hr', pick(bed(lost), 0, false).places.hr), 'PR')
})

test('when all candidates are gone, the place shows the preferred one as gone', () => {
  const gone = [value(147842, 'HR', { age_ms: 20_000 }), value(149530, 'PR', { age_ms: 30_000 })]
  assert.equal(pick(bed(gone), 0, false).places.hr?.judged.freshness, 'gone')
})

test('an arterial pressure is preferred to a cuff while it lives', () => {
  const cuff = [value(150021, 'NIBP sys', { pace: 'episodic' }), value(150022, 'NIBP dia', { pace: 'episodic' })]
  const both = pick(bed([...cuff, value(150033, 'ART sys')]), 0, false)
  assert.equal(both.pressure?.label, 'ART')
  assert.deepEqual([both.pressures.map((p) => p.label), both.further], [['NIBP'], []])
  assert.equal(pick(bed([...cuff, value(150033, 'ART sys', { age_ms: 11_000 })]), 0, false).pressure?.label, 'NIBP')
})

test('a setting never takes the place of a measurement, and nothing is shown twice', () => {
  const picked = pick(bed([value(151562, 'RR', { setting: true }), value(151920, 'FiO2')]), 0, false)
  assert.equal(picked.places.rr, undefined)
  assert.deepEqual(picked.further.map((r) => r.value.label), ['FiO2', 'RR'])
})

test('limits belong to the code they name', () => {
  const limits = [
    { code: 147842, side: 'low', threshold: '100', ucum: '/min' },
    { code: 150456, side: 'high', threshold: '95', ucum: '%' },
  ] as const
  assert.deepEqual(limitsOf([...limits], 147842), { low: '100' })
  assert.deepEqual(limitsOf([...limits], undefined), {})
})
