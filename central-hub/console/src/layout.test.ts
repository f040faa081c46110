import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { grid } from './grid'
import { named } from './named'

test('1 to 32 beds all find a place on a full HD screen', () => {
  for (let beds = 1; beds <= 32; beds++) {
    const { columns, rows } = grid(beds, 1920, 956)
    assert.ok(columns * rows >= beds && columns * (rows - 1) < beds, `${beds} beds in ${columns} x ${rows}`)
  }
  assert.deepEqual(grid(8, 1920, 956), { columns: 4, rows: 2 })
  assert.deepEqual(grid(32, 1920, 956), { columns: 8, rows: 4 })
})

test('a digit opens its bed at once unless another bed goes on from it', () => {
  const eight = ['01', '02', '03', '04', '05', '06', '07', '08']
  assert.deepEqual(named('2', eight), { bed: '02', sure: true })
  const twelve = [...eight, '09', '10', '11', '12']
  assert.deepEqual(named('1', twelve), { bed: '01', sure: false })
  assert.deepEqual(named('12', twelve), { bed: '12', sure: true })
  assert.deepEqual(named('7', ['a1', 'a7']), { bed: 'a7', sure: true })
  assert.equal(named('9', eight).bed, undefined)
})

test('no parameter wears an alarm colour', () => {
  const css = readFileSync('src/tokens.css', 'utf8')
  const hue = (name: string): number => {
    const hex = new RegExp(`--${name}: #(..)(..)(..)`).exec(css)
    const [r = 0, g = 0, b = 0] = [1, 2, 3].map((i) => parseInt(hex?.[i] ?? '', 16) / 255)
    const max = Math.max(r, g, b)
    const span = max - Math.min(r, g, b)
    if (span < 0.15) return NaN
    const turn = max === r ? ((g - b) / span + 6) % 6 : max === g ? (b - r) / span + 2 : (r - g) / span + 4
    return turn * 60
  }
  for (const alarm of ['high', 'medium', 'low']) {
    for (const parameter of ['ecg', 'pleth', 'resp', 'abp', 'temp', 'other']) {
      const apart = Math.abs(((hue(alarm) - hue(parameter) + 540) % 360) - 180)
      assert.ok(!(apart < 20), `${parameter} is ${apart.toFixed(0)} degrees from ${alarm}`)
    }
  }
})

test('alarm words keep a contrast of 7 to 1 in both halves of the flash', () => {
  const css = readFileSync('src/tokens.css', 'utf8')
  const luminance = (name: string): number => {
    const hex = new RegExp(`--${name}: #(..)(..)(..)`).exec(css)
    const [r = NaN, g = NaN, b = NaN] = [1, 2, 3].map((i) => {
      const c = parseInt(hex?.[i] ?? '', 16) / 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const pairs = [['high-ink', 'high-fill'], ['high-off', 'panel'], ['medium-ink', 'medium'], ['medium', 'panel'], ['low-ink', 'low'], ['low', 'panel']]
  for (const [ink = '', ground = ''] of pairs) {
    const [dark = 0, light = 0] = [luminance(ink), luminance(ground)].sort((a, b) => a - b)
    const contrast = (light + 0.05) / (dark + 0.05)
    assert.ok(contrast >= 7, `${ink} on ${ground}: ${contrast.toFixed(2)}`)
  }
})
