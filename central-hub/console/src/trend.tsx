// A bed's trend: its parameters over the last hours, and every hole in the record with its cause.

import { useComputed, useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useMemo } from 'preact/hooks'
import { hubLink } from './age'
import type { BedTrends } from './api'
import { bedState, connected, heardAt } from './feed'
import { age, clock } from './format'
import { atTheEnd, before, listed, middleOf, shades, type Listed, type Now, type Shade } from './holes'
import { useKeys } from './keys'
import { choices, codesAsked, lanes, type Lane } from './lanes'
import { now, wall } from './pulse'
import { ask, isOld, useQuestion, type Standing } from './question'
import { SPANS_H, cursor, hours, resolutionS, step, toNow, turned, until, zoom } from './span'
import { stretch, walked } from './stretch'
import { digitsOf } from './runs'
import { facts } from './tile'
import { Aside } from './trendaside'
import { Chart, Gutter } from './trendchart'
import { TrendTable } from './trendtable'
import { back } from './view'

const REFRESH_MS = 30_000
const MANY_BUCKETS = 10

// Everything that chart, table and list show of one answer.
export interface Shown {
  from: number
  to: number
  resolutionMs: number
  lanes: ShownLane[]
  holes: Listed[]
}

export interface ShownLane extends Lane {
  shades: Shade[]
  digits: number
}

export function TrendView({ bed }: { bed: string }): VNode {
  const state = bedState(bed).value
  const values = state?.view.values ?? []
  const codes = codesAsked(values, turned.value)
  const lost = useComputed(() => hubLink(now.value - heardAt.value, connected.value) === 'lost').value
  const words = `${hours.value}/${until.value}/${codes.join(',')}`
  const standing = useQuestion(words, REFRESH_MS, (over) => {
    const { from, to } = stretch(wall(performance.now()), until.peek(), hours.peek(), resolutionS.peek())
    const query = `param=${codes.join(',')}&from=${from}&to=${to}&resolution=${resolutionS.peek()}`
    return ask<BedTrends>(`/api/v1/beds/${encodeURIComponent(bed)}/trends?${query}`, over)
  })
  const agent = state?.view.agent?.state ?? 'never'
  const devices = state?.view.devices.map(({ name, state }) => `${name} ${state}`).join('\n')
  const shown = useMemo(
    () => arrange(standing, turned.value, { agent, devices: state?.view.devices ?? [] }),
    [standing.told, turned.value, agent, devices],
  )
  const asTable = useSignal(false)
  useKeys((event) => trendKey(event, shown, asTable))
  const old = standing.told !== undefined && isOld(standing, REFRESH_MS, now.value, lost)

  return (
    <main class="trend" aria-label={`Trend of bed ${bed}`}>
      <header class="viewbar">
        <button type="button" class="back" onClick={back}>
          <kbd>Esc</kbd> bed
        </button>
        <h1>{bed}</h1>
        <span class="who">{state?.view.patient?.name ?? ''}</span>
        <span class="facts">{facts(state?.view.patient ?? null)}</span>
        {state?.view.agent?.simulated === true && <b class="plate">SIMULATED</b>}
        <Spans />
        <button type="button" aria-pressed={asTable.value} onClick={() => (asTable.value = !asTable.value)}>
          <kbd>V</kbd> as a table
        </button>
        <AsOf standing={standing} old={old} />
      </header>
      {shown === undefined ? (
        <p class={standing.trouble === null ? 'waiting' : 'waiting trouble'} role="status">
          {standing.trouble === null ? 'asking the hub' : `No trend: ${standing.trouble}.`}
        </p>
      ) : (
        <>
          <section class={`plot ${old ? 'old' : ''}`}>
            {asTable.value ? (
              <TrendTable shown={shown} />
            ) : (
              <>
                <Gutter shown={shown} />
                <Chart shown={shown} limits={state?.view.limits_state === 'in-force' ? state.view.limits : []} />
              </>
            )}
            {old && <OldWords standing={standing} lost={lost} />}
          </section>
          <Aside shown={shown} choices={choices(standing.told?.data.trends ?? [], values, turned.value)} old={old} />
        </>
      )}
    </main>
  )
}

function arrange(
  standing: Standing<BedTrends>,
  chosen: ReadonlySet<string>,
  state: Now,
): Shown | undefined {
  const data = standing.told?.data
  if (data === undefined || standing.told === undefined) return undefined
  const { from_ms: from, to_ms: to } = data
  const resolutionMs = data.resolution_s * 1000
  const hubAt = standing.told.hubAtMs
  const gaps = atTheEnd(data.gaps, hubAt, state)
  const covered = [...gaps, ...before(data.since_ms, from, to)]
  const found = lanes(data.trends, chosen)
  return {
    from,
    to,
    resolutionMs,
    lanes: found.map((lane) => ({ ...lane, shades: shades(covered, lane.trend.device ?? '', from, to), digits: digitsOf(lane.trend.points) })),
    holes: listed(gaps, hubAt),
  }
}

function trendKey(event: KeyboardEvent, shown: Shown | undefined, asTable: { value: boolean }): boolean {
  const buckets = event.shiftKey ? MANY_BUCKETS : 1
  const to = (by: number): void => {
    if (shown !== undefined) cursor.value = walked(cursor.value, by, shown.resolutionMs, shown)
  }
  switch (event.key) {
    case 'ArrowLeft': return to(-buckets), true
    case 'ArrowRight': return to(buckets), true
    case 'Home': return to(-Infinity), true
    case 'End': return to(Infinity), true
    case 'PageUp': return step(-1, wall(now.value)), true
    case 'PageDown': return step(1, wall(now.value)), true
    case '+': case '=': return zoom(-1), true
    case '-': return zoom(1), true
    case 'n': return toNow(), true
    case 'v': return (asTable.value = !asTable.value), true
    case 'g': case 'G': return toHole(event.shiftKey ? 1 : -1, shown), true
    default: return false
  }
}

// The next hole towards the past (-1) or the present (1).
function toHole(direction: 1 | -1, shown: Shown | undefined): void {
  if (shown === undefined) return
  const at = cursor.value ?? (direction < 0 ? Infinity : -Infinity)
  const middles = shown.holes
    .map((hole) => middleOf(hole, shown.from, shown.to))
    .filter((middle) => (middle - at) * direction > 0)
  if (middles.length > 0) cursor.value = direction < 0 ? Math.max(...middles) : Math.min(...middles)
}

function Spans(): VNode {
  return (
    <>
      <div class="spans" role="group" aria-label="Hours shown (plus and minus)">
        {SPANS_H.map((span) => (
          <button key={span} type="button" aria-pressed={hours.value === span} onClick={() => (hours.value = span)}>
            {span} h
          </button>
        ))}
      </div>
      <div class="spans" role="group" aria-label="Which hours">
        <button type="button" onClick={() => step(-1, wall(now.value))}>
          ◀ earlier
        </button>
        <button type="button" disabled={until.value === null} onClick={() => step(1, wall(now.value))}>
          later ▶
        </button>
        <button type="button" aria-pressed={until.value === null} onClick={toNow}>
          now
        </button>
      </div>
    </>
  )
}

export function AsOf({ standing, old }: { standing: Standing<unknown>; old: boolean }): VNode | null {
  if (standing.told === undefined) return null
  return (
    <span class={`asof ${old ? 'old' : ''}`}>
      {old && <b>OLD </b>}as of <b>{clock(standing.told.hubAtMs, true)}</b>
      <span class="since"> {age(now.value - standing.receivedAt)} ago</span>
    </span>
  )
}

export function OldWords({ standing, lost }: { standing: Standing<unknown>; lost: boolean }): VNode {
  const why = standing.trouble ?? (lost ? 'no connection to the hub' : 'the hub takes long')
  const when = standing.told === undefined ? '' : clock(standing.told.hubAtMs, true)
  return (
    <p class="oldwords" role="alert">
      <b>OLD PICTURE</b> as of {when}, {age(now.value - standing.receivedAt)} ago: {why}
    </p>
  )
}
