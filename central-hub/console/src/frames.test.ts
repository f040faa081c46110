import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, NO_SAMPLE } from './frames'

function frame(...chunks: { channel: number; beginMs: number; samples: number[]; claim?: number; version?: number }[]): ArrayBuffer {
  const bytes = new ArrayBuffer(chunks.reduce((sum, c) => sum + 16 + 4 * c.samples.length, 0))
  const view = new DataView(bytes)
  let at = 0
  for (const { channel, beginMs, samples, claim, version } of chunks) {
    view.setUint8(at, version ?? 1)
    view.setUint16(at + 2, channel, true)
    view.setUint32(at + 4, claim ?? samples.length, true)
    view.setFloat64(at + 8, beginMs, true)
    samples.forEach((s, i) => view.setInt32(at + 16 + 4 * i, s, true))
    at += 16 + 4 * samples.length
  }
  return bytes
}

test('several chunks of one frame come out in order, at any alignment', () => {
  const chunks = decode(frame({ channel: 3, beginMs: 1_768_360_364_123.5, samples: [1, -2, 3] }, { channel: 65535, beginMs: 0, samples: [NO_SAMPLE] }))
  assert.deepEqual(chunks.map((c) => [c.channel, c.beginMs, [...c.samples]]), [
    [3, 1_768_360_364_123.5, [1, -2, 3]],
    [65535, 0, [NO_SAMPLE]],
  ])
})

test('a count larger than the frame allocates nothing and ends the frame', () => {
  const chunks = decode(frame({ channel: 1, beginMs: 5, samples: [7] }, { channel: 2, beginMs: 5, samples: [8], claim: 0xffffffff }))
  assert.deepEqual(chunks.map((c) => c.channel), [1])
})

test('another version, a cut header and a time that is no number give nothing', () => {
  assert.deepEqual(decode(frame({ channel: 1, beginMs: 5, samples: [7], version: 2 })), [])
  assert.deepEqual(decode(new ArrayBuffer(15)), [])
  assert.deepEqual(decode(frame({ channel: 1, beginMs: NaN, samples: [7] })), [])
})
