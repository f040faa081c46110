// A screenshot's pixels: the 8 bit RGB and RGBA pictures without interlacing that Chromium writes.

import { inflateSync } from 'node:zlib'

export function pixels(png) {
  let width = 0
  let height = 0
  let channels = 0
  const parts = []
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    const kind = png.toString('latin1', at + 4, at + 8)
    const body = png.subarray(at + 8, at + 8 + length)
    if (kind === 'IHDR') [width, height, channels] = [body.readUInt32BE(0), body.readUInt32BE(4), { 2: 3, 6: 4 }[body[9]]]
    if (kind === 'IDAT') parts.push(body)
    at += length + 12
  }
  const raw = inflateSync(Buffer.concat(parts))
  const row = width * channels
  const out = Buffer.alloc(row * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)]
    for (let x = 0; x < row; x++) {
      const left = x < channels ? 0 : out[y * row + x - channels]
      const up = y === 0 ? 0 : out[(y - 1) * row + x]
      const corner = y === 0 || x < channels ? 0 : out[(y - 1) * row + x - channels]
      out[y * row + x] = raw[y * (row + 1) + 1 + x] + predicted(filter, left, up, corner)
    }
  }
  return (x, y) => [...out.subarray(Math.round(y) * row + Math.round(x) * channels, Math.round(y) * row + Math.round(x) * channels + 3)]
}

function predicted(filter, left, up, corner) {
  if (filter === 0) return 0
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return (left + up) >> 1
  const [l, u, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
  return l <= u && l <= c ? left : u <= c ? up : corner
}
