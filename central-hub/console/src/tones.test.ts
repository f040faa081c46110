import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beside, measure, within } from './measure'
import { burst, PATTERNS, type Tone } from './tones'

const RATE = 48_000

for (const tone of ['high', 'medium', 'low'] as Tone[]) {
  test(`the ${tone} priority signal stands within every window of the standard that is public`, () => {
    const rows = beside(tone, measure(burst(PATTERNS[tone], RATE), RATE), PATTERNS[tone].betweenMs)
    for (const row of rows) assert.ok(within(row), `${row.what}: ${row.measured}, wanted ${row.least} to ${row.most}`)
  })
}

test('a signal that is out of its window is found out', () => {
  const slow = { ...PATTERNS.high, pulseMs: 260 }
  const rows = beside('high', measure(burst(slow, RATE), RATE), slow.betweenMs)
  assert.ok(rows.some((row) => row.what === 'pulse duration, ms' && !within(row)))
  const sparse = { ...PATTERNS.medium, gapsMs: [400, 400] }
  assert.ok(beside('medium', measure(burst(sparse, RATE), RATE), sparse.betweenMs).some((row) => row.what === 'spacing, ms' && !within(row)))
})

test('high is no softer than medium, medium no softer than low', () => {
  const peaks = (['high', 'medium', 'low'] as Tone[]).map((tone) => burst(PATTERNS[tone], RATE).reduce((most, v) => Math.max(most, Math.abs(v)), 0))
  assert.ok((peaks[0] ?? 0) >= (peaks[1] ?? 0) && (peaks[1] ?? 0) >= (peaks[2] ?? 0))
  assert.ok((peaks[0] ?? 0) <= 1)
})
