import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rangeOf, stepOf, timeTicks, valueTicks } from './axis'

const HR = 147842
const SPO2 = 150456
const local = (hour: number, minute = 0, dayOfMonth = 14): number => new Date(2026, 0, dayOfMonth, hour, minute).getTime()

test('a parameter keeps its range until a value leaves it, then the range goes to the next round value', () => {
  assert.deepEqual(rangeOf(HR, '{beats}/min', undefined), { low: 80, high: 200 })
  assert.deepEqual(rangeOf(HR, '{beats}/min', { low: 120, high: 171 }), { low: 80, high: 200 })
  assert.deepEqual(rangeOf(HR, '{beats}/min', { low: 61, high: 171 }), { low: 60, high: 200 })
  assert.deepEqual(rangeOf(HR, '{beats}/min', { low: 120, high: 221 }), { low: 80, high: 240 })
})

test('a saturation never gets a scale above 100 %', () => {
  assert.deepEqual(rangeOf(SPO2, '%', { low: 63, high: 100 }), { low: 60, high: 100 })
})

test('a parameter without a range of its own is framed by what was seen, a flat one too', () => {
  assert.deepEqual(rangeOf(1, 'mL', { low: 3, high: 17 }), { low: 2, high: 18 })
  const flat = rangeOf(1, 'mL', { low: 5, high: 5 })
  assert.ok(flat.low <= 5 && flat.high > 5 && flat.high > flat.low)
  assert.deepEqual(rangeOf(1, 'mL', undefined), { low: 0, high: 1 })
})

test('ticks stand at round values within the range', () => {
  assert.deepEqual([1, 3, 30, 0.4].map((span) => stepOf(span, 3)), [0.5, 1, 10, 0.2])
  assert.deepEqual(valueTicks({ low: 80, high: 200 }, 110), [100, 150, 200])
  assert.deepEqual(valueTicks({ low: 35, high: 39 }, 110), [35, 36, 37, 38, 39])
  assert.deepEqual(valueTicks({ low: 0.1, high: 0.5 }, 110), [0.1, 0.2, 0.3, 0.4, 0.5])
})

test('time ticks stand at round local times, and midnight says which day begins', () => {
  const ticks = timeTicks(local(22, 10), local(2, 10, 15), 1400)
  assert.deepEqual(ticks.slice(0, 3).map((tick) => tick.text), ['22:15', '22:30', '22:45'])
  assert.deepEqual(ticks.filter((tick) => tick.midnight).map((tick) => tick.text), ['Thu 15 Jan'])
  assert.equal(timeTicks(local(0), local(0, 0, 15), 1400).length, 13)
})

test('labels never stand closer than their room', () => {
  for (const hours of [1, 4, 12, 24]) {
    for (const width of [280, 900, 1400, 2600]) {
      const ticks = timeTicks(local(9, 7), local(9, 7) + hours * 3_600_000, width)
      const apart = ticks.slice(1).map((tick, i) => ((tick.at - (ticks[i]?.at ?? 0)) * width) / (hours * 3_600_000))
      assert.ok(apart.every((px) => px >= 70), `${hours} h on ${width} px: ${Math.min(...apart)}`)
    }
  }
})
