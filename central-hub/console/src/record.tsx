// How complete the record is: a row a bed, a cell a day, and for the chosen cell every second with its cause.

import { signal, useComputed } from '@preact/signals'
import type { VNode } from 'preact'
import { useMemo } from 'preact/hooks'
import { hubLink } from './age'
import type { BedDay, UnitCompleteness } from './api'
import { dayName, lastDays, percent, remarks, settled, sharesOf, sign } from './cover'
import { beds, connected, heardAt, unit } from './feed'
import { useKeys } from './keys'
import { now, wall } from './pulse'
import { ask, isOld, useQuestion, type Told } from './question'
import { RecordDay } from './recordday'
import { AsOf, OldWords } from './trend'
import { back } from './view'

const REFRESH_MS = 60_000
const MINUTE_MS = 60_000
const SPANS = [7, 14]

const span = signal(7)
const chosen = signal<{ bed: string; day: string } | null>(null)

export function Record(): VNode {
  const lost = useComputed(() => hubLink(now.value - heardAt.value, connected.value) === 'lost').value
  const unitId = unit.value?.id ?? ''
  // The day changes at midnight; the list of days is looked at once a minute.
  const minute = Math.floor(wall(now.value) / MINUTE_MS)
  const days = useMemo(() => lastDays(minute * MINUTE_MS, span.value), [minute, span.value])
  const standing = useQuestion(`${unitId}/${days.join()}`, REFRESH_MS, (over) => everyDay(unitId, days, over))
  const told = standing.told?.data
  const rows = useMemo(() => bedsOf(beds.value, told), [beds.value, told])
  const old = standing.told !== undefined && isOld(standing, REFRESH_MS, now.value, lost)
  useKeys((event) => recordKey(event, rows, days))
  return (
    <main class="record" aria-label="Completeness of the record">
      <header class="viewbar">
        <button type="button" class="back" onClick={back}>
          <kbd>Esc</kbd> all beds
        </button>
        <h1>Completeness of the record</h1>
        <span class="facts">seconds received of seconds expected, per bed and UTC day</span>
        <div class="spans" role="group" aria-label="Days shown">
          {SPANS.map((n) => (
            <button key={n} type="button" aria-pressed={span.value === n} onClick={() => (span.value = n)}>
              {n} days
            </button>
          ))}
        </div>
        <AsOf standing={standing} old={old} />
      </header>
      {told === undefined ? (
        <p class={standing.trouble === null ? 'waiting' : 'waiting trouble'} role="status">
          {standing.trouble === null ? 'asking the hub' : `Not known: ${standing.trouble}.`}
        </p>
      ) : (
        <>
          <section class={`cells ${old ? 'old' : ''} ${days.length > 7 ? 'many' : ''}`}>
            <Days days={days} rows={rows} told={told} />
            {old && <OldWords standing={standing} lost={lost} />}
          </section>
          <RecordDay chosen={chosen.value} unit={told} />
        </>
      )}
    </main>
  )
}

// One question a day; the picture is as of the first answer.
async function everyDay(unitId: string, days: string[], over: AbortSignal): Promise<Told<Map<string, UnitCompleteness>>> {
  const path = (day: string): string => `/api/v1/units/${encodeURIComponent(unitId)}/completeness?day=${day}`
  const told = await Promise.all(days.map((day) => ask<UnitCompleteness>(path(day), over)))
  return { data: new Map(told.map(({ data }) => [data.day, data])), hubAtMs: Math.min(...told.map(({ hubAtMs }) => hubAtMs)) }
}

// The unit's beds, and any other that the record knows.
function bedsOf(order: string[], told: Map<string, UnitCompleteness> | undefined): string[] {
  const known = [...(told?.values() ?? [])].flatMap((day) => day.beds.map((bed) => bed.bed))
  return [...new Set([...order, ...known.sort()])]
}

function Days({ days, rows, told }: { days: string[]; rows: string[]; told: Map<string, UnitCompleteness> }): VNode {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">bed</th>
          {days.map((day) => (
            <th key={day} scope="col">
              {dayName(day)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((bed) => (
          <tr key={bed}>
            <th scope="row">{bed}</th>
            {days.map((day) => (
              <td key={day}>
                <Cell bed={bed} day={day} of={cellOf(told.get(day), bed, day === days.at(-1))} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function cellOf(day: UnitCompleteness | undefined, bed: string, goesOn: boolean): BedDay | undefined {
  const found = day?.beds.find((b) => b.bed === bed)
  return found === undefined ? undefined : settled(found, goesOn)
}

function Cell({ bed, day, of }: { bed: string; day: string; of: BedDay | undefined }): VNode {
  const pressed = chosen.value?.bed === bed && chosen.value.day === day
  const none = of === undefined || of.expected_s <= 0
  const manner = none ? 'none' : of.unexplained_s > 0 ? 'unexplained' : of.received_s >= of.expected_s ? 'full' : 'part'
  const words = none ? ['no gateway'] : remarks(of)
  const full = none ? '' : percent(of.received_s, of.expected_s)
  return (
    <button
      type="button"
      class={`cell ${manner}`}
      data-bed={bed}
      data-day={day}
      aria-pressed={pressed}
      aria-label={`Bed ${bed}, ${dayName(day)}: ${full} ${words.join(', ')}`}
      onClick={() => (chosen.value = { bed, day })}
      onFocus={() => (chosen.value = { bed, day })}
    >
      {!none && (
        <span class="share">
          <i>{sign(of.received_s, of.expected_s)}</i> {full}
          {manner === 'unexplained' && <b> !</b>}
        </span>
      )}
      <span class="remark">
        {words.map((line) => (
          <span key={line}>{line}</span>
        ))}
      </span>
      <span class="bars">
        {!none && sharesOf(of, of.expected_s).map(({ kind, share }) => <i key={kind} class={kind} style={{ flexGrow: String(share) }} />)}
      </span>
    </button>
  )
}

function recordKey(event: KeyboardEvent, rows: string[], days: string[]): boolean {
  const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? []
  if (across === undefined || down === undefined) return false
  const at = chosen.value
  const row = at === null ? -1 : rows.indexOf(at.bed)
  const column = at === null ? -1 : days.indexOf(at.day)
  const next = (from: number, by: number, count: number): number => Math.max(0, Math.min(count - 1, from + by))
  // It enters at today, top right.
  const bed = rows[row < 0 ? 0 : next(row, down, rows.length)]
  const day = days[column < 0 ? days.length - 1 : next(column, across, days.length)]
  for (const cell of document.querySelectorAll<HTMLElement>('.record .cell')) {
    if (cell.dataset['bed'] === bed && cell.dataset['day'] === day) cell.focus()
  }
  return true
}
