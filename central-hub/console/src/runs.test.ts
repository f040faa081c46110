import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Point } from './api'
import { bucketAt, coarser, digitsOf, extent, runs } from './runs'

const MINUTE = 60_000
const point = (minute: number, mean: number, coverage = 1): Point => [minute * MINUTE, mean - 2, mean, mean + 2, 60 * coverage, coverage]

test('buckets that touch are one run, from the begin of the first to the end of the last', () => {
  const [run, ...others] = runs([point(0, 10), point(1, 12), point(2, 14)], MINUTE)
  assert.equal(others.length, 0)
  assert.deepEqual(run?.outline.map(([at]) => at / MINUTE), [0, 0.5, 1.5, 2.5, 3])
  assert.deepEqual(run?.outline[1], [0.5 * MINUTE, 8, 10, 12])
})

test('nothing is ever drawn across an absent bucket', () => {
  const found = runs([point(0, 10), point(1, 10), point(3, 30), point(9, 30)], MINUTE)
  assert.deepEqual(found.map((run) => [run.outline[0]?.[0], run.outline.at(-1)?.[0]].map((at) => (at ?? 0) / MINUTE)), [[0, 2], [3, 4], [9, 10]])
})

test('a bucket with less than half of its seconds is a fainter run that shares its edge with its neighbours', () => {
  const found = runs([point(0, 10), point(1, 20, 0.49), point(2, 30, 0.5)], MINUTE)
  assert.deepEqual(found.map((run) => run.faint), [false, true, false])
  assert.deepEqual(found[0]?.outline.at(-1), found[1]?.outline[0])
  assert.deepEqual(found[1]?.outline.at(-1), found[2]?.outline[0])
  assert.equal(found[0]?.outline.at(-1)?.[2], 15)
})

test('a lone bucket is a short flat piece and no buckets are nothing', () => {
  assert.deepEqual(runs([point(5, 10)], MINUTE)[0]?.outline.map(([at]) => at / MINUTE), [5, 5.5, 6])
  assert.deepEqual(runs([], MINUTE), [])
  assert.equal(extent([]), undefined)
})

test('the cursor finds the bucket it stands in, and none where there is none', () => {
  const points = [point(0, 10), point(1, 11), point(4, 14)]
  assert.equal(bucketAt(points, 1.99 * MINUTE, MINUTE)?.[2], 11)
  assert.equal(bucketAt(points, 2 * MINUTE, MINUTE), undefined)
  assert.equal(bucketAt(points, 4 * MINUTE, MINUTE)?.[2], 14)
  assert.equal(bucketAt(points, -1, MINUTE), undefined)
})

test('coarser buckets keep the extremes, weigh the mean by readings and add up the time that is there', () => {
  const found = coarser([point(0, 10), point(1, 40, 0.5), point(5, 20)], MINUTE, 5 * MINUTE)
  assert.deepEqual(found.map(([at, min, mean, max, count]) => [at / MINUTE, min, mean, max, count]), [[0, 8, 20, 42, 90], [5, 18, 20, 22, 60]])
  assert.equal(found[0]?.[5].toFixed(3), '0.300')
})

test('a mean is written with the digits of the readings it is made of', () => {
  assert.equal(digitsOf([[0, 140, 142.31, 150, 60, 1]]), 0)
  assert.equal(digitsOf([[0, 36.7, 36.72, 36.8, 60, 1]]), 1)
  assert.equal(digitsOf([[0, 7.35, 7.36, 7.4, 60, 1]]), 2)
})
