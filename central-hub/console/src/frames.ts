// The waveform socket's binary frames, decoded without trusting a single length in them.

export const NO_SAMPLE = -2147483648
const HEADER = 16
const VERSION = 1

export interface Chunk {
  channel: number
  // Agent wall time of the first sample.
  beginMs: number
  samples: Int32Array
}

// Everything up to the first thing that does not fit; a frame of another version gives nothing.
export function decode(frame: ArrayBuffer): Chunk[] {
  const view = new DataView(frame)
  const chunks: Chunk[] = []
  let at = 0
  while (at + HEADER <= view.byteLength) {
    if (view.getUint8(at) !== VERSION) break
    const channel = view.getUint16(at + 2, true)
    const count = view.getUint32(at + 4, true)
    const beginMs = view.getFloat64(at + 8, true)
    at += HEADER
    if (count > (view.byteLength - at) / 4 || !Number.isFinite(beginMs)) break
    const samples = new Int32Array(count)
    for (let i = 0; i < count; i++) samples[i] = view.getInt32(at + 4 * i, true)
    at += 4 * count
    chunks.push({ channel, beginMs, samples })
  }
  return chunks
}
