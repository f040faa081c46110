// One bed's day in full: every device and lane with its seconds by cause, then the holes themselves.

import type { VNode } from 'preact'
import type { BedCompleteness, BedGaps, LaneDay, UnitCompleteness } from './api'
import { causes, dayBounds, dayName, offBy, percent, settled } from './cover'
import { bedState } from './feed'
import { duration, lasting } from './format'
import { atTheEnd, causeWords, listed, type Now } from './holes'
import { now, wall } from './pulse'
import { ask, isOld, useQuestion, type Told } from './question'
import { toDay } from './span'
import { AsOf } from './trend'
import { toTrend } from './view'

const REFRESH_MS = 60_000
const HOLES_MOST = 40

interface Day {
  completeness: BedCompleteness
  gaps: BedGaps
}

export function RecordDay({ chosen, unit }: { chosen: { bed: string; day: string } | null; unit: Map<string, UnitCompleteness> }): VNode {
  if (chosen !== null) return <Chosen key={`${chosen.bed}\n${chosen.day}`} bed={chosen.bed} day={chosen.day} />
  const last = [...unit.keys()].sort().at(-1)
  const beds = [...unit.values()].flatMap((day) => day.beds.map((bed) => settled(bed, day.day === last)))
  const sum = (of: (bed: (typeof beds)[number]) => number): number => beds.reduce((total, bed) => total + of(bed), 0)
  const unexplained = sum((bed) => bed.unexplained_s)
  return (
    <aside class="beside">
      <h2>The unit</h2>
      <p class="big">{percent(sum((bed) => bed.received_s), sum((bed) => bed.expected_s))} received</p>
      {unexplained > 0 ? (
        <p class="alarm">UNEXPLAINED: {lasting(unexplained * 1000)}. A hole without a cause is a fault of Cotside: report it.</p>
      ) : (
        <p>Every missing second has a cause.</p>
      )}
      <p class="hint">Choose a cell: arrow keys or a click.</p>
      <Marks />
    </aside>
  )
}

function Chosen({ bed, day }: { bed: string; day: string }): VNode {
  const { from, to } = dayBounds(day)
  const standing = useQuestion(`${bed}/${day}`, REFRESH_MS, (over) => whole(bed, day, over))
  const told = standing.told?.data
  const view = bedState(bed).value?.view
  const state: Now = { agent: view?.agent?.state ?? 'never', devices: view?.devices ?? [] }
  const old = standing.told !== undefined && isOld(standing, REFRESH_MS, now.value, false)
  const found = told?.completeness.days.find((d) => d.day === day)
  const look = (): void => {
    toDay(to, wall(now.value))
    toTrend(bed)
  }
  return (
    <aside class={`beside ${old ? 'old' : ''}`} aria-label={`Bed ${bed}, ${dayName(day)}`}>
      <h2 class="day">
        <b>
          {bed} {dayName(day)}
        </b>
        <AsOf standing={standing} old={old} />
      </h2>
      {standing.trouble !== null && <p class="trouble">Not known anew: {standing.trouble}.</p>}
      {told === undefined && standing.trouble === null && <p>asking the hub</p>}
      {found !== undefined && <Devices expected={found.expected_s} lanes={found.lanes} />}
      {told !== undefined && <DayHoles gaps={told.gaps} from={from} to={Math.min(to, standing.told?.hubAtMs ?? to)} state={state} />}
      <button type="button" class="back" onClick={look}>
        trend of this day
      </button>
      <Marks />
    </aside>
  )
}

async function whole(bed: string, day: string, over: AbortSignal): Promise<Told<Day>> {
  const { from, to } = dayBounds(day)
  const base = `/api/v1/beds/${encodeURIComponent(bed)}`
  const [completeness, gaps] = await Promise.all([
    ask<BedCompleteness>(`${base}/completeness?from=${day}&to=${day}`, over),
    ask<BedGaps>(`${base}/gaps?lane=numeric&from=${from}&to=${to}`, over),
  ])
  return { data: { completeness: completeness.data, gaps: gaps.data }, hubAtMs: completeness.hubAtMs }
}

// A table a device, a column a lane, a row a cause.
function Devices({ expected, lanes }: { expected: number; lanes: LaneDay[] }): VNode {
  const links = [...new Set(lanes.map((lane) => lane.link))]
  return (
    <>
      <p>
        expected: <b>{duration(expected * 1000)}</b> with a gateway at this bed
      </p>
      {links.map((link) => (
        <DeviceLanes key={link} lanes={lanes.filter((lane) => lane.link === link)} expected={expected} />
      ))}
    </>
  )
}

function DeviceLanes({ lanes, expected }: { lanes: LaneDay[]; expected: number }): VNode {
  const missing = [...new Set(lanes.flatMap((lane) => causes(lane).map(([cause]) => cause)))]
  const row = (kind: string, words: string, of: (lane: LaneDay) => number): VNode | null =>
    lanes.every((lane) => of(lane) === 0) && kind !== 'received' ? null : (
      <tr key={words} class={kind}>
        <th scope="row">
          <i class={`swatch ${kind}`} /> {words}
        </th>
        {lanes.map((lane) => (
          <td key={lane.lane} class="n">
            {of(lane) === 0 ? '' : duration(of(lane) * 1000)}
          </td>
        ))}
      </tr>
    )
  return (
    <table class="list device">
      <thead>
        <tr>
          <th scope="col">
            <b>{lanes[0]?.device ?? 'the bed itself'}</b>
          </th>
          {lanes.map((lane) => (
            <th key={lane.lane} scope="col" class="n">
              {lane.lane}
              <br />
              {percent(lane.received_s, expected)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {row('received', 'received', (lane) => lane.received_s)}
        {missing.map((cause) => row('lost', causeWords(cause), (lane) => lane.missing[cause] ?? 0))}
        {row('coming', 'waiting', (lane) => lane.waiting_s)}
        {row('unexplained', 'UNEXPLAINED', (lane) => lane.unexplained_s)}
        {row('unexplained', 'does not add up', (lane) => Math.abs(offBy(lane, expected)))}
      </tbody>
    </table>
  )
}

function DayHoles({ gaps, from, to, state }: { gaps: BedGaps; from: number; to: number; state: Now }): VNode | null {
  const holes = listed((gaps.to_ms > to ? atTheEnd(gaps.gaps, to, state) : gaps.gaps).filter((gap) => gap.to_ms > from && gap.from_ms < to), to)
  if (holes.length === 0) return null
  return (
    <section class="holes">
      <h2>Holes of the numbers, local time</h2>
      <ul>
        {holes.slice(0, HOLES_MOST).map((hole) => (
          <li key={`${hole.from}/${hole.cause}/${hole.devices.join()}`}>
            <i class={`swatch ${hole.kind}`} />
            <span class="when">{hole.when}</span>
            <span class="long">{hole.long}</span>
            <span class="what">{hole.what}</span>
          </li>
        ))}
      </ul>
      {holes.length > HOLES_MOST && <p>and {holes.length - HOLES_MOST} more</p>}
    </section>
  )
}

function Marks(): VNode {
  return (
    <dl class="legend" aria-label="Marks">
      <div>
        <dt><i class="swatch received" /></dt>
        <dd>● all received ◕ 95 % ◑ 50 % ◔ less ○ none</dd>
      </div>
      <div>
        <dt><i class="swatch lost" /></dt>
        <dd>missing, cause known</dd>
      </div>
      <div>
        <dt><i class="swatch coming" /></dt>
        <dd>waiting at the gateway, will come</dd>
      </div>
      <div>
        <dt><i class="swatch unexplained" /></dt>
        <dd>! unexplained: must not be, report it</dd>
      </div>
    </dl>
  )
}
