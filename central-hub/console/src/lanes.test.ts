import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Point, Trend, Value } from './api'
import { choices, codesAsked, keyOf, lanes } from './lanes'

const points = (n: number): Point[] => Array.from({ length: n }, (_, i) => [i * 60_000, 1, 1, 1, 60, 1])
const trend = (code: number, label: string, device: string, n = 3, site: string | null = null): Trend => ({ code, label, name: label, site, device, ucum: '', points: points(n) })
const value = (code: number, label: string, device: string): Value => ({ code, label, name: label, site: null, value: '1', ucum: '', age_ms: 0, at_ms: 0, pace: 'continuous', quality: [], device, setting: false })

const HR = trend(147842, 'HR', 'monitor')
const PULSE = trend(149530, 'PR', 'oximeter', 9)
const SPO2 = trend(150456, 'SpO2', 'monitor', 2)
const PRE = trend(150456, 'SpO2', 'oximeter', 5, 'preductal')

test('each of the usual parameters has one lane, by preference of the parameter and then by how much is there', () => {
  const found = lanes([SPO2, PULSE, PRE, HR], new Set())
  assert.deepEqual(found.map((lane) => lane.key), [keyOf(HR), keyOf(PRE), '151578//'])
  assert.deepEqual(found.map((lane) => lane.hue), ['ecg', 'pleth', 'resp'])
})

test('a pulse stands in where no heart rate has a reading', () => {
  assert.equal(lanes([trend(147842, 'HR', 'monitor', 0), PULSE], new Set())[0]?.key, keyOf(PULSE))
})

test('HR, SpO2 and RR have their place even when there is nothing to show', () => {
  assert.deepEqual(lanes([], new Set()).map((lane) => lane.trend.label), ['HR', 'SpO2', 'RR'])
})

test('a person turns a lane off and another on, and the order stays', () => {
  const found = lanes([HR, PULSE, SPO2, PRE], new Set([keyOf(HR), keyOf(SPO2)]))
  assert.deepEqual(found.map((lane) => lane.key), [keyOf(PRE), keyOf(SPO2), '151578//'])
})

test('what a device measures now can be chosen, is then asked for, and settings cannot', () => {
  const values = [value(151976, 'PEEP', 'ventilator'), { ...value(151957, 'Pset', 'ventilator'), setting: true }]
  const key = keyOf({ code: 151976, site: null, device: 'ventilator' })
  assert.deepEqual(choices([HR], values, new Set()).map((choice) => [choice.label, choice.shown]), [['HR', true], ['PEEP', false]])
  assert.ok(!codesAsked(values, new Set()).includes(151976))
  assert.ok(codesAsked(values, new Set([key])).includes(151976))
})
