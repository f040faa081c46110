// One canvas per tile, drawn by hand: an erase bar, the samples that are new, nothing else.

import { BAR_PX, Scale, WAVE_DELAY_MS, shapeOf, spans, sweepMs, x, type Range, type Shape } from './sweep'
import type { BedClock, Trace } from './trace'

interface Lane {
  trace: Trace
  shape: Shape
  scale: Scale
  sweep: number
  top: number
  height: number
  // Wall time up to which the lane is drawn, and up to which it is wiped; undefined: draw it anew.
  drawn: number | undefined
  wiped: number
  seen: Range
  lastTime: number
  lastX: number
  lastY: number
}

export class Sweep {
  private readonly pen: CanvasRenderingContext2D | null
  private lanes: Lane[] = []
  private width = 0
  private height = 0
  private ratio = 1

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly clock: BedClock,
    private readonly colours: Record<Shape, string>,
  ) {
    this.pen = canvas.getContext('2d')
  }

  // Keeps the scale of a trace that stays, so that a resize does not make it jump.
  show(traces: Trace[]): void {
    if (traces.length === this.lanes.length && traces.every((t, i) => this.lanes[i]?.trace === t)) return
    const before = this.lanes
    this.lanes = traces.map((trace) => {
      const same = before.find((lane) => lane.trace.channel.id === trace.channel.id)
      return lane(trace, same?.scale ?? new Scale(trace.channel.ucum))
    })
    this.layOut()
  }

  resize(cssWidth: number, cssHeight: number, ratio: number): void {
    const width = Math.round(cssWidth * ratio)
    const height = Math.round(cssHeight * ratio)
    if (width === this.width && height === this.height && ratio === this.ratio) return
    this.canvas.width = this.width = width
    this.canvas.height = this.height = height
    this.ratio = ratio
    this.layOut()
  }

  private layOut(): void {
    this.pen?.clearRect(0, 0, this.width, this.height)
    const height = this.height / Math.max(1, this.lanes.length)
    this.lanes.forEach((lane, i) => {
      lane.top = Math.round(i * height)
      lane.height = Math.round((i + 1) * height) - lane.top
      lane.sweep = sweepMs(lane.shape, this.width / this.ratio)
      lane.drawn = undefined
    })
  }

  paint(now: number): void {
    const wall = this.clock.wallAt(now)
    if (this.pen === null || wall === undefined || this.width === 0) return
    for (const lane of this.lanes) this.paintLane(this.pen, lane, wall - WAVE_DELAY_MS)
  }

  private paintLane(pen: CanvasRenderingContext2D, lane: Lane, at: number): void {
    const bar = (BAR_PX * this.ratio * lane.sweep) / this.width
    const oldest = at - lane.sweep + bar
    // A clock that stepped, a tab that slept: the lane starts again.
    if (lane.drawn !== undefined && (at < lane.wiped - bar - 100 || at - lane.wiped > lane.sweep)) lane.drawn = undefined
    if (lane.drawn === undefined) this.restart(pen, lane, oldest, at + bar)
    const wrapped = Math.floor(at / lane.sweep) !== Math.floor((lane.wiped - bar) / lane.sweep)
    for (const [from, to] of spans(lane.wiped, at + bar, lane.sweep, this.width)) {
      pen.clearRect(Math.floor(from), lane.top, Math.ceil(to) - Math.floor(from) + 1, lane.height)
    }
    lane.wiped = Math.max(lane.wiped, at + bar)
    if (this.rescale(lane, oldest, at, wrapped)) this.restart(pen, lane, oldest, at + bar)
    this.drawNew(pen, lane, Math.max(lane.drawn ?? oldest, oldest), at)
  }

  private restart(pen: CanvasRenderingContext2D, lane: Lane, oldest: number, wiped: number): void {
    pen.clearRect(0, lane.top, this.width, lane.height)
    lane.drawn = oldest
    lane.wiped = wiped
    lane.lastTime = -Infinity
  }

  // Looks at the new samples only, and at the whole lane once per sweep.
  private rescale(lane: Lane, oldest: number, at: number, wrapped: boolean): boolean {
    const seen = wrapped || lane.scale.current === undefined ? extent() : lane.seen
    const from = seen === lane.seen ? Math.max(lane.drawn ?? oldest, oldest) : oldest
    lane.trace.each(from, at, (_, y) => {
      if (y < seen.low) seen.low = y
      if (y > seen.high) seen.high = y
    })
    lane.seen = seen
    return seen.high >= seen.low && lane.scale.adapt(seen, wrapped)
  }

  private drawNew(pen: CanvasRenderingContext2D, lane: Lane, from: number, at: number): void {
    const range = lane.scale.current
    if (range === undefined) return
    const inset = Math.min(4 * this.ratio, lane.height * 0.06)
    const bottom = lane.top + lane.height - inset
    const perUnit = (lane.height - 2 * inset) / (range.high - range.low)
    const gap = lane.trace.gapMs
    pen.strokeStyle = this.colours[lane.shape]
    pen.lineWidth = Math.max(1.25, Math.min(2.6, lane.height / this.ratio / 42)) * this.ratio
    pen.lineJoin = 'round'
    pen.lineCap = 'round'
    pen.beginPath()
    let down = false
    lane.trace.each(from, at, (time, value) => {
      lane.drawn = time
      if (Number.isNaN(value)) {
        lane.lastTime = -Infinity
        down = false
        return
      }
      const px = x(time, lane.sweep, this.width)
      const py = bottom - (value - range.low) * perUnit
      const joined = time - lane.lastTime <= gap && px >= lane.lastX
      if (joined && !down) pen.moveTo(lane.lastX, lane.lastY)
      if (joined) pen.lineTo(px, py)
      else pen.moveTo(px, py)
      down = true
      lane.lastTime = time
      lane.lastX = px
      lane.lastY = py
    })
    if (down) pen.stroke()
  }
}

function lane(trace: Trace, scale: Scale): Lane {
  return {
    trace,
    shape: shapeOf(trace.channel.code),
    scale,
    sweep: 1000,
    top: 0,
    height: 0,
    drawn: undefined,
    wiped: 0,
    seen: extent(),
    lastTime: -Infinity,
    lastX: 0,
    lastY: 0,
  }
}

function extent(): Range {
  return { low: Infinity, high: -Infinity }
}
