// The alarms there were: a list with filters, and of each its whole life, from onset to who answered it.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { AlarmLog, LoggedAlarm } from './api'
import { beds } from './feed'
import { asterisks, clock, day, label, lasting } from './format'
import { useKeys } from './keys'
import { now, wall } from './pulse'
import { ask, useQuestion } from './question'
import { back, toReview } from './view'

const EVERY_MS = 5_000
const HOUR_MS = 3_600_000
const STRETCHES: [string, number][] = [
  ['1 h', HOUR_MS],
  ['8 h', 8 * HOUR_MS],
  ['24 h', 24 * HOUR_MS],
  ['7 d', 168 * HOUR_MS],
]

export function Review({ only }: { only: string }): VNode {
  const state = useSignal('')
  const priority = useSignal('')
  const hours = useSignal(8 * HOUR_MS)
  const chosen = useSignal<string | null>(null)
  const cursor = useSignal<string | null>(null)
  // Whole minutes: the same question for as long.
  const from = Math.floor((wall(now.peek()) - hours.value) / 60_000) * 60_000
  const query = new URLSearchParams()
  for (const [name, value] of [['bed', only], ['state', state.value], ['priority', priority.value], ['from', String(from)], ['cursor', cursor.value ?? '']] as const) if (value !== '') query.set(name, value)
  const path = `/api/v1/alarms?${query}`
  const standing = useQuestion<AlarmLog>([only, state.value, priority.value, hours.value, cursor.value].join('\n'), EVERY_MS, (until) => ask(path, until))
  const alarms = standing.told?.data.alarms ?? []
  const shown = alarms.find((alarm) => keyOf(alarm) === chosen.value) ?? alarms[0]
  const step = (by: number): void => {
    const at = shown === undefined ? 0 : alarms.indexOf(shown)
    const next = alarms[Math.max(0, Math.min(alarms.length - 1, at + by))]
    if (next !== undefined) chosen.value = keyOf(next)
  }
  useKeys((event) => {
    if (event.key === 'ArrowDown') step(1)
    else if (event.key === 'ArrowUp') step(-1)
    else return false
    return true
  })
  return (
    <main class="page">
      <header class="head">
        <button type="button" class="act" onClick={back}>
          <kbd>Esc</kbd> back
        </button>
        <h1>Alarms</h1>
        <label class="filter">
          bed
          <select value={only} onChange={(event) => toReview(event.currentTarget.value)}>
            <option value="">all</option>
            {beds.value.map((bed) => (
              <option key={bed} value={bed}>
                {bed}
              </option>
            ))}
          </select>
        </label>
        <Filter name="state" chosen={state} of={[['', 'all'], ['open', 'open'], ['ended', 'ended']]} />
        <Filter name="priority" chosen={priority} of={[['', 'all'], ['high', '***'], ['medium', '**'], ['low', '*']]} />
        <Filter name="since" chosen={hours} of={STRETCHES.map(([words, ms]) => [ms, words])} />
        <span class="counted">
          {alarms.length}
          {standing.told?.data.next == null ? '' : '+'} alarms
        </span>
      </header>
      {standing.trouble !== null && <p class="trouble">{standing.trouble}</p>}
      <div class="split review">
        <section class="scroll">
          <table class="list">
            <tbody>
              {alarms.map((alarm) => (
                <tr key={keyOf(alarm)} class={`${alarm.ended_ms === null ? alarm.priority : ''} ${alarm === shown ? 'chosen' : ''}`} onClick={() => (chosen.value = keyOf(alarm))}>
                  <td class="n">{moment(alarm.onset_ms)}</td>
                  <td>
                    <b>{alarm.bed}</b>
                  </td>
                  <th scope="row">
                    {asterisks(alarm.priority)} {label(alarm.text)}
                  </th>
                  <td>{alarm.kind === 'physiological' ? '' : alarm.kind}</td>
                  <td class="n">{alarm.ended_ms === null ? 'open' : lasting(alarm.ended_ms - alarm.onset_ms)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {alarms.length === 0 && standing.told !== undefined && <p class="small">none in this time</p>}
          <div class="choices">
            {cursor.value !== null && (
              <button type="button" class="act" onClick={() => (cursor.value = null)}>
                newest
              </button>
            )}
            {standing.told?.data.next != null && (
              <button type="button" class="act" onClick={() => (cursor.value = standing.told?.data.next ?? null)}>
                earlier
              </button>
            )}
          </div>
        </section>
        {shown !== undefined && <Life alarm={shown} />}
      </div>
    </main>
  )
}

function Filter<T extends string | number>(props: { name: string; chosen: { value: T }; of: [T, string][] }): VNode {
  return (
    <span class="filter" role="radiogroup" aria-label={props.name}>
      {props.of.map(([value, words]) => (
        <button key={value} type="button" role="radio" aria-checked={props.chosen.value === value} class={`act ${props.chosen.value === value ? 'chosen' : ''}`} onClick={() => (props.chosen.value = value)}>
          {words}
        </button>
      ))}
    </span>
  )
}

const WHAT: Record<string, string> = {
  raised: 'raised at the bed', changed: 'changed', acknowledged: 'acknowledged', paused: 'sound paused', enabled: 'sounds again', painted: 'first on a screen',
  sounded: 'first sounded', requested: 'asked for', refused: 'refused by the bed', expired: 'too late, not applied', accepted: 'taken', rejected: 'passed on',
  withdrawn: 'given back', escalated: 'escalated', late: 'told late', ended: 'ended',
}

function Life({ alarm }: { alarm: LoggedAlarm }): VNode {
  return (
    <section class={`life ${alarm.ended_ms === null ? alarm.priority : ''}`} aria-label="The life of this alarm">
      <h2>
        {alarm.bed} {asterisks(alarm.priority)} {label(alarm.text)}
      </h2>
      <p class="small">
        {alarm.rule} · {alarm.kind} · {alarm.ended_ms === null ? 'open' : `ended: ${alarm.ended ?? ''}`}
        {alarm.late && ' · told late'}
      </p>
      <ol>
        {alarm.life.map((step, i) => (
          <li key={i}>
            <time>{clock(step.at_ms, true)}</time>
            <span class="after">{i === 0 ? '' : `+${((step.at_ms - alarm.onset_ms) / 1000).toFixed(1)} s`}</span>
            <span>
              <b>{WHAT[step.what] ?? step.what}</b>
              {step.by !== null && ` by ${step.by}`}
              {step.station != null && ` at ${step.station}`}
              {step.detail !== '' && <i> {label(step.detail)}</i>}
            </span>
          </li>
        ))}
      </ol>
    </section>
  )
}

const keyOf = (alarm: LoggedAlarm): string => `${alarm.bed}/${alarm.episode}`

function moment(atMs: number): string {
  return wall(now.value) - atMs < 12 * HOUR_MS ? clock(atMs, true) : `${day(atMs)} ${clock(atMs)}`
}
