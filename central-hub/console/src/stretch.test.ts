import assert from 'node:assert/strict'
import { test } from 'node:test'
import { laneBox, timeToX, xToTime } from './plot'
import { stepped, stretch, walked } from './stretch'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOW = 1_000 * HOUR + 7.3 * MINUTE

test('a stretch lies on the edges of buckets and holds the present', () => {
  const { from, to } = stretch(NOW, null, 12, 60)
  assert.equal(from % MINUTE, 0)
  assert.ok(to >= NOW && to - NOW < MINUTE)
  assert.equal(stretch(NOW, 500 * HOUR, 24, 300).to, 500 * HOUR)
})

test('steps go back by half of what is shown and never into the future', () => {
  assert.equal(stepped(null, -1, 4, NOW), NOW - 2 * HOUR)
  assert.equal(stepped(NOW - 2 * HOUR, 1, 4, NOW), null)
  assert.equal(stepped(NOW - 5 * HOUR, 1, 4, NOW), NOW - 3 * HOUR)
})

test('the cursor enters from the end that it is called from, walks by buckets and stays inside', () => {
  const whole = { from: 0, to: 10 * MINUTE }
  assert.equal(walked(null, -1, MINUTE, whole), 9.5 * MINUTE)
  assert.equal(walked(null, 1, MINUTE, whole), 0.5 * MINUTE)
  assert.equal(walked(3.1 * MINUTE, 1, MINUTE, whole), 4.5 * MINUTE)
  assert.equal(walked(3.1 * MINUTE, -10, MINUTE, whole), 0.5 * MINUTE)
  assert.deepEqual([walked(null, Infinity, MINUTE, whole), walked(null, -Infinity, MINUTE, whole)], [9.5 * MINUTE, 0.5 * MINUTE])
  assert.equal(walked(3.1 * MINUTE, Infinity, MINUTE, whole), 9.5 * MINUTE)
})

test('a time has one place on the plot and a place one time', () => {
  for (const at of [0, 3 * HOUR, 12 * HOUR]) assert.ok(Math.abs(xToTime(timeToX(at, 0, 12 * HOUR, 1500), 0, 12 * HOUR, 1500) - at) < 1)
  assert.equal(xToTime(-50, 0, HOUR, 1500), 0)
  assert.equal(xToTime(9_000, 0, HOUR, 1500), HOUR)
})

test('lanes share the height and do not touch', () => {
  const boxes = [0, 1, 2].map((i) => laneBox(i, 3, 626))
  assert.deepEqual(boxes.map((box) => box.top), [0, 200, 400])
  assert.ok(boxes.every((box, i) => box.top + box.height < (boxes[i + 1]?.top ?? 601)))
})
