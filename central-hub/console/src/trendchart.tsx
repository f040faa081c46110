// The drawn trend: a canvas for the lanes, the lanes' names beside it, a cursor over it.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import type { Limit, Point } from './api'
import { rangeOf } from './axis'
import { clock, day, label, site, ucumText } from './format'
import { causeWords, shadeAt } from './holes'
import type { Hue } from './lanes'
import { limitsOf } from './pick'
import { AXIS_PX, Plot, timeToX, xToTime, type Palette, type Picture, type PlotLane } from './plot'
import { bucketAt, extent, isFaint, runs } from './runs'
import { cursor } from './span'
import type { Shown, ShownLane } from './trend'

let read: { palette: Palette; hues: Record<Hue, string> } | undefined

function colours(): { palette: Palette; hues: Record<Hue, string> } {
  if (read !== undefined) return read
  const style = getComputedStyle(document.documentElement)
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  const palette = {
    ground: of('panel'), lane: of('lane'), grid: of('grid'), edge: of('faint'), ink: of('ink'), dim: of('dim'),
    hatch: of('stripe'), unexplained: of('high-off'), font: of('num'),
  }
  const hues = { ecg: of('ecg'), pleth: of('pleth'), resp: of('resp'), abp: of('abp'), temp: of('temp'), other: of('other') }
  return (read = { palette, hues })
}

export function Chart({ shown, limits }: { shown: Shown; limits: Limit[] }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null)
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot | null>(null)
  const size = useSignal({ width: 0, height: 0 })
  const bounds = JSON.stringify(limits)
  const picture = useMemo(() => pictureOf(shown, limits), [shown, bounds])
  const latest = useRef(picture)
  latest.current = picture

  useEffect(() => {
    const [element, place] = [canvas.current, box.current]
    if (element === null || place === null) return
    const made = (plot.current = new Plot(element, colours().palette))
    const fit = (): void => {
      made.resize(place.clientWidth, place.clientHeight, devicePixelRatio)
      made.draw(latest.current)
      size.value = { width: place.clientWidth, height: place.clientHeight }
    }
    const watcher = new ResizeObserver(fit)
    watcher.observe(place)
    place.focus({ preventScroll: true })
    return () => watcher.disconnect()
  }, [])
  useLayoutEffect(() => plot.current?.draw(picture), [picture])

  const point = (event: PointerEvent): void => {
    const left = box.current?.getBoundingClientRect().left ?? 0
    cursor.value = xToTime(event.clientX - left, shown.from, shown.to, size.value.width)
  }
  const at = cursor.value
  const visible = at !== null && at >= shown.from && at < shown.to
  return (
    <div
      ref={box}
      class="chart"
      tabIndex={0}
      role="slider"
      aria-label="Time under the cursor"
      aria-valuemin={shown.from}
      aria-valuemax={shown.to}
      aria-valuenow={at ?? shown.to}
      aria-valuetext={visible ? spoken(shown, at) : 'no cursor; arrow keys set it'}
      onPointerMove={point}
      onPointerDown={point}
      onPointerLeave={(event) => event.pointerType === 'mouse' && (cursor.value = null)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {visible && (
        <div class="cursor" style={{ left: `${timeToX(at, shown.from, shown.to, size.value.width)}px`, bottom: `${AXIS_PX}px` }}>
          <span>{clock(at)}</span>
        </div>
      )}
    </div>
  )
}

function pictureOf(shown: Shown, limits: Limit[]): Picture {
  const { hues } = colours()
  const lanes = shown.lanes.map(({ trend, hue, shades }): PlotLane => {
    const bounds = limitsOf(limits, trend.code)
    const numbers = {
      ...(bounds.low === undefined ? {} : { low: Number(bounds.low) }),
      ...(bounds.high === undefined ? {} : { high: Number(bounds.high) }),
    }
    const edges = Object.values(numbers)
    const seen = extent(trend.points)
    const all = [...edges, ...(seen === undefined ? [] : [seen.low, seen.high])]
    const range = rangeOf(trend.code, trend.ucum, all.length === 0 ? undefined : { low: Math.min(...all), high: Math.max(...all) })
    return { hue: hues[hue], range, runs: runs(trend.points, shown.resolutionMs), shades, limits: numbers }
  })
  return { from: shown.from, to: shown.to, lanes }
}

// The names of the lanes, and under each what the cursor stands on.
export function Gutter({ shown }: { shown: Shown }): VNode {
  return (
    <div class="gutter">
      {shown.lanes.map((lane) => (
        <div key={lane.key} class={`lane ${lane.hue}`}>
          <div class="name">
            <b>{label(lane.trend.label)}</b> <i>{site(lane.trend.site)}</i>
          </div>
          <div class="from">{[ucumText(lane.trend.ucum), lane.trend.device ?? ''].filter((w) => w !== '').join(' · ')}</div>
          <Reading lane={lane} shown={shown} />
        </div>
      ))}
    </div>
  )
}

function Reading({ lane, shown }: { lane: ShownLane; shown: Shown }): VNode | null {
  const at = cursor.value
  if (at === null || at < shown.from || at >= shown.to) return null
  const shade = shadeAt(lane.shades, at)
  const bucket = bucketAt(lane.trend.points, at, shown.resolutionMs)
  if (shade !== undefined) return <div class="reading none">{causeWords(shade.cause)}</div>
  if (bucket === undefined) return <div class="reading none">no reading</div>
  return (
    <div class="reading">
      <b>{number(bucket[2], lane)}</b>{' '}
      <span>
        {number(bucket[1], lane)}–{number(bucket[3], lane)}
      </span>
      {isFaint(bucket) && <span class="few">{Math.round(bucket[5] * 100)} % of the time</span>}
    </div>
  )
}

// With the digits that the device gave.
export function number(value: number, lane: ShownLane): string {
  return value.toFixed(lane.digits)
}

function readings(lane: ShownLane, at: number, shown: Shown): string {
  const shade = shadeAt(lane.shades, at)
  if (shade !== undefined) return causeWords(shade.cause)
  const bucket: Point | undefined = bucketAt(lane.trend.points, at, shown.resolutionMs)
  return bucket === undefined ? 'no reading' : `${number(bucket[2], lane)}, from ${number(bucket[1], lane)} to ${number(bucket[3], lane)}`
}

function spoken(shown: Shown, at: number): string {
  return `${day(at)} ${clock(at)}: ${shown.lanes.map((lane) => `${lane.trend.label} ${readings(lane, at, shown)}`).join('; ')}`
}
