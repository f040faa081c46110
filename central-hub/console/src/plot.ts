// A trend's canvas, drawn by hand: grid, bands with their mean, holes in the record, limits; one lane under another.

import { timeTicks, valueTicks, type Range } from './axis'
import { kindOf, wordsFor, type Kind, type Shade } from './holes'
import type { Run } from './runs'

export const LEFT_PX = 44
export const RIGHT_PX = 40
export const AXIS_PX = 26
const LANE_GAP_PX = 10
// A hole that is narrower cuts nothing out of what its bucket has: a tick at the lane's edge says that it was there.
const LEAST_HOLE_PX = 2
const TICK_PX = 6

export interface PlotLane {
  hue: string
  range: Range
  runs: Run[]
  shades: Shade[]
  limits: { low?: number; high?: number }
}

export interface Picture {
  from: number
  to: number
  lanes: PlotLane[]
}

export interface Palette {
  ground: string
  lane: string
  grid: string
  edge: string
  ink: string
  dim: string
  hatch: string
  unexplained: string
  font: string
}

interface Box {
  top: number
  height: number
}

// The gutter beside the canvas has the same rows (record.css).
export function laneBox(index: number, lanes: number, height: number): Box {
  const row = (height - AXIS_PX) / Math.max(1, lanes)
  return { top: index * row, height: row - LANE_GAP_PX }
}

export function timeToX(at: number, from: number, to: number, width: number): number {
  return LEFT_PX + ((at - from) / (to - from)) * (width - LEFT_PX - RIGHT_PX)
}

export function xToTime(x: number, from: number, to: number, width: number): number {
  const share = (x - LEFT_PX) / (width - LEFT_PX - RIGHT_PX)
  return from + Math.max(0, Math.min(1, share)) * (to - from)
}

export class Plot {
  private readonly pen: CanvasRenderingContext2D | null
  private patterns: Record<Exclude<Kind, 'apart'>, CanvasPattern | null> | undefined
  private ratio = 1
  private width = 0
  private height = 0

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly palette: Palette,
  ) {
    this.pen = canvas.getContext('2d')
  }

  resize(width: number, height: number, ratio: number): void {
    this.canvas.width = Math.round(width * ratio)
    this.canvas.height = Math.round(height * ratio)
    if (ratio !== this.ratio) this.patterns = undefined
    this.width = width
    this.height = height
    this.ratio = ratio
  }

  draw(picture: Picture): void {
    const pen = this.pen
    if (pen === null || this.width === 0) return
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
    pen.clearRect(0, 0, this.width, this.height)
    const x = (at: number): number => timeToX(at, picture.from, picture.to, this.width)
    const boxes = picture.lanes.map((_, i) => laneBox(i, picture.lanes.length, this.height))
    for (const box of boxes) this.ground(pen, box)
    this.times(pen, picture, boxes, x)
    picture.lanes.forEach((lane, i) => {
      const box = boxes[i]
      if (box !== undefined) this.lane(pen, lane, box, x)
    })
  }

  private ground(pen: CanvasRenderingContext2D, box: Box): void {
    pen.fillStyle = this.palette.lane
    pen.fillRect(LEFT_PX, box.top, this.width - LEFT_PX - RIGHT_PX, box.height)
  }

  private times(pen: CanvasRenderingContext2D, { from, to }: Picture, boxes: Box[], x: (at: number) => number): void {
    pen.font = `13px ${this.palette.font}`
    pen.textAlign = 'center'
    pen.textBaseline = 'middle'
    for (const tick of timeTicks(from, to, this.width - LEFT_PX - RIGHT_PX)) {
      const at = this.crisp(x(tick.at))
      pen.fillStyle = tick.midnight ? this.palette.edge : this.palette.grid
      for (const box of boxes) pen.fillRect(at, box.top, this.hair, box.height)
      pen.fillStyle = tick.midnight ? this.palette.ink : this.palette.dim
      const half = pen.measureText(tick.text).width / 2
      pen.fillText(tick.text, Math.max(half, Math.min(this.width - half, at)), this.height - AXIS_PX / 2)
    }
  }

  private lane(pen: CanvasRenderingContext2D, lane: PlotLane, box: Box, x: (at: number) => number): void {
    const inset = 4
    const y = (value: number): number =>
      box.top + box.height - inset - ((value - lane.range.low) / (lane.range.high - lane.range.low)) * (box.height - 2 * inset)
    this.values(pen, lane.range, box, y)
    pen.save()
    pen.beginPath()
    pen.rect(LEFT_PX, box.top, this.width - LEFT_PX - RIGHT_PX, box.height)
    pen.clip()
    for (const run of lane.runs) this.band(pen, run, lane.hue, x, y)
    this.limits(pen, lane, y)
    for (const run of lane.runs) this.mean(pen, run, lane.hue, x, y)
    // Over the band: whatever a bucket says of the time around a hole, nothing is drawn through the hole itself.
    for (const shade of lane.shades) this.hole(pen, shade, box, x)
    pen.restore()
    this.limitValues(pen, lane, box, y)
  }

  private values(pen: CanvasRenderingContext2D, range: Range, box: Box, y: (value: number) => number): void {
    pen.font = `12px ${this.palette.font}`
    pen.textAlign = 'right'
    pen.textBaseline = 'middle'
    for (const tick of valueTicks(range, box.height)) {
      pen.fillStyle = this.palette.grid
      pen.fillRect(LEFT_PX, this.crisp(y(tick)), this.width - LEFT_PX - RIGHT_PX, this.hair)
      pen.fillStyle = this.palette.dim
      pen.fillText(String(tick), LEFT_PX - 6, within(y(tick), box))
    }
  }

  private band(pen: CanvasRenderingContext2D, run: Run, hue: string, x: (at: number) => number, y: (value: number) => number): void {
    pen.beginPath()
    for (const [at, , , high] of run.outline) pen.lineTo(x(at), y(high) - 0.5)
    for (const [at, low] of run.outline.toReversed()) pen.lineTo(x(at), y(low) + 0.5)
    pen.closePath()
    pen.globalAlpha = run.faint ? 0.14 : 0.36
    pen.fillStyle = hue
    pen.fill()
    pen.globalAlpha = 1
  }

  private mean(pen: CanvasRenderingContext2D, run: Run, hue: string, x: (at: number) => number, y: (value: number) => number): void {
    pen.beginPath()
    for (const [at, , mean] of run.outline) pen.lineTo(x(at), y(mean))
    pen.globalAlpha = run.faint ? 0.45 : 1
    pen.strokeStyle = hue
    pen.lineWidth = run.faint ? 1 : 1.6
    pen.lineJoin = 'round'
    pen.stroke()
    pen.globalAlpha = 1
  }

  private hole(pen: CanvasRenderingContext2D, shade: Shade, box: Box, x: (at: number) => number): void {
    const kind = kindOf(shade.cause)
    const left = x(shade.from)
    const width = x(shade.to) - left
    const colour = kind === 'unexplained' ? this.palette.unexplained : this.palette.dim
    if (width < LEAST_HOLE_PX) {
      pen.fillStyle = colour
      pen.fillRect(this.crisp(left), box.top, Math.max(this.hair, width), TICK_PX)
      pen.fillRect(this.crisp(left), box.top + box.height - TICK_PX, Math.max(this.hair, width), TICK_PX)
      return
    }
    pen.fillStyle = this.palette.ground
    pen.fillRect(left, box.top, width, box.height)
    pen.fillStyle = this.pattern(pen, kind) ?? this.palette.ground
    pen.fillRect(left, box.top, width, box.height)
    pen.strokeStyle = colour
    pen.lineWidth = 1
    pen.setLineDash(kind === 'coming' ? [3, 3] : [])
    pen.beginPath()
    for (const edge of [left, left + width]) {
      pen.moveTo(this.crisp(edge) + this.hair / 2, box.top)
      pen.lineTo(this.crisp(edge) + this.hair / 2, box.top + box.height)
    }
    pen.stroke()
    pen.setLineDash([])
    this.words(pen, shade, { left, width }, box, kind === 'unexplained' ? this.palette.unexplained : this.palette.ink)
  }

  private words(pen: CanvasRenderingContext2D, shade: Shade, at: { left: number; width: number }, box: Box, ink: string): void {
    pen.font = `13px ${this.palette.font}`
    const found = wordsFor(shade, at.width, box.height, (text) => pen.measureText(text).width)
    if (found === undefined) return
    pen.save()
    pen.translate(at.left + at.width / 2, box.top + box.height / 2)
    if (found.upright) pen.rotate(-Math.PI / 2)
    const half = pen.measureText(found.text).width / 2 + 4
    pen.fillStyle = this.palette.ground
    pen.fillRect(-half, -8, 2 * half, 16)
    pen.fillStyle = ink
    pen.textAlign = 'center'
    pen.textBaseline = 'middle'
    pen.fillText(found.text, 0, 0.5)
    pen.restore()
  }

  private limits(pen: CanvasRenderingContext2D, { limits }: PlotLane, y: (value: number) => number): void {
    pen.lineWidth = this.hair
    pen.strokeStyle = this.palette.ink
    pen.globalAlpha = 0.75
    pen.setLineDash([6, 5])
    for (const limit of [limits.low, limits.high]) {
      if (limit === undefined) continue
      const at = this.crisp(y(limit)) + this.hair / 2
      pen.beginPath()
      pen.moveTo(LEFT_PX, at)
      pen.lineTo(this.width - RIGHT_PX, at)
      pen.stroke()
    }
    pen.setLineDash([])
    pen.globalAlpha = 1
  }

  private limitValues(pen: CanvasRenderingContext2D, { limits }: PlotLane, box: Box, y: (value: number) => number): void {
    pen.font = `12px ${this.palette.font}`
    pen.textAlign = 'left'
    pen.textBaseline = 'middle'
    pen.fillStyle = this.palette.ink
    for (const limit of [limits.low, limits.high]) {
      if (limit !== undefined) pen.fillText(String(limit), this.width - RIGHT_PX + 6, within(y(limit), box))
    }
  }

  // One device pixel, on a device pixel.
  private get hair(): number {
    return Math.max(1, Math.round(this.ratio)) / this.ratio
  }

  private crisp(px: number): number {
    return Math.round(px * this.ratio) / this.ratio
  }

  // Stripes: lost. Dots: coming. Stripes both ways: unexplained. Told apart without colour.
  private pattern(pen: CanvasRenderingContext2D, kind: Kind): CanvasPattern | null {
    if (kind === 'apart') return null
    this.patterns ??= {
      lost: tile(pen, 10, this.ratio, (p) => stripes(p, 10, this.palette.hatch, false)),
      coming: tile(pen, 8, this.ratio, (p) => dots(p, 8, this.palette.dim)),
      unexplained: tile(pen, 8, this.ratio, (p) => stripes(p, 8, this.palette.unexplained, true)),
    }
    return this.patterns[kind]
  }
}

// A label at a lane's edge stays in its lane.
function within(y: number, box: Box): number {
  return Math.max(box.top + 6, Math.min(box.top + box.height - 6, y))
}

function tile(pen: CanvasRenderingContext2D, size: number, ratio: number, draw: (pen: CanvasRenderingContext2D) => void): CanvasPattern | null {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = Math.round(size * ratio)
  const inner = canvas.getContext('2d')
  if (inner === null) return null
  inner.scale(canvas.width / size, canvas.width / size)
  draw(inner)
  const pattern = pen.createPattern(canvas, 'repeat')
  // The pattern is made of device pixels; the pen draws in CSS pixels.
  pattern?.setTransform(new DOMMatrix().scale(size / canvas.width))
  return pattern
}

function stripes(pen: CanvasRenderingContext2D, size: number, colour: string, both: boolean): void {
  pen.strokeStyle = colour
  pen.lineWidth = both ? 1 : 3
  for (const shift of [-size, 0, size]) {
    pen.beginPath()
    pen.moveTo(shift - 1, size + 1)
    pen.lineTo(shift + size + 1, -1)
    if (both) {
      pen.moveTo(shift - 1, -1)
      pen.lineTo(shift + size + 1, size + 1)
    }
    pen.stroke()
  }
}

function dots(pen: CanvasRenderingContext2D, size: number, colour: string): void {
  pen.fillStyle = colour
  pen.fillRect(1, 1, 1.5, 1.5)
  pen.fillRect(1 + size / 2, 1 + size / 2, 1.5, 1.5)
}
