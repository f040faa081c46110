// The unit's alarms along the top: highest first, newest first among equals; a click goes to the bed.

import { useComputed } from '@preact/signals'
import type { VNode } from 'preact'
import { alarmsOf, byUrgency, mark, remarks, unitAlarmsOf, type ShownAlarm } from './alarms'
import { bedState, beds, unit, unitAlarms } from './feed'
import { asterisks, clock, day, duration, label } from './format'
import { isStation } from './monitor'
import { now, wall } from './pulse'
import { Symbol } from './symbols'
import { toBed, width } from './view'

// Widths in console.css, of a screen that is wide and one that is not.
const SMALL_PX = 340
const TAKEN_PX = { wide: 1220, narrow: 800 }
const WIDE_PX = 1500
// Beds that fit into the place of one chip.
const BADGES = 5

export function Strip(): VNode {
  const alarms = useComputed(() => allAlarms())
  const list = alarms.value
  const lead = list[0]
  const room = 2 * Math.max(0, Math.floor((width.value - (width.value >= WIDE_PX ? TAKEN_PX.wide : TAKEN_PX.narrow)) / SMALL_PX))
  const rest = list.slice(1)
  const shown = rest.length > room ? rest.slice(0, Math.max(0, room - 1)) : rest
  const named = onePerBed(rest.slice(shown.length), [...(lead === undefined ? [] : [lead]), ...shown])
  const badges = named.slice(0, BADGES)
  const more = rest.length - shown.length - badges.length
  const at = wall(now.value)
  return (
    <header class="strip">
      <div class="brand">
        <b>{unit.value?.name ?? 'Cotside'}</b>
        <span>{isStation.value || unit.value === null ? 'Cotside' : 'REMOTE VIEW'}</span>
      </div>
      <div class="alarms" role="group" aria-label="Active alarms">
        {lead === undefined && <p class="calm">no active alarms</p>}
        {lead !== undefined && <Chip alarm={lead} lead />}
        <div class="rest">
          {shown.map((alarm) => (
            <Chip key={alarm.key} alarm={alarm} />
          ))}
          {rest.length > shown.length && (
            <span class="more">
              {badges.map((alarm) => (
                <Badge key={alarm.key} alarm={alarm} />
              ))}
              {more > 0 && <b>+{more}</b>}
            </span>
          )}
        </div>
      </div>
      <div class="clock">
        <b>{clock(at, true)}</b>
        <span>{day(at)}</span>
      </div>
    </header>
  )
}

function allAlarms(): ShownAlarm[] {
  const of = unitAlarms.value
  const units = unitAlarmsOf(of.alarms, of.hubAtMs).map((a) => ({ ...a, sinceMs: a.sinceMs - of.receivedAt }))
  return beds.value
    .flatMap((bed) => {
      const state = bedState(bed).value
      return state === undefined
        ? []
        : alarmsOf(state.view, state.hubAtMs).map((a) => ({ ...a, sinceMs: a.sinceMs - state.receivedAt }))
    })
    .concat(units)
    .sort(byUrgency)
}

// `sinceMs` is counted from page time zero here, so that the list is computed per frame and the seconds per look.
function Chip({ alarm, lead = false }: { alarm: ShownAlarm; lead?: boolean }): VNode {
  const text = label(alarm.text)
  const length = alarm.bed.length + asterisks(alarm.priority).length + text.length + 2
  return (
    <button
      type="button"
      class={`chip ${alarm.priority} ${alarm.manner}${alarm.technical ? ' technical' : ''}${lead ? ' lead' : ''}`}
      style={{ '--chars': String(length) }}
      data-shows={mark(alarm)}
      onClick={() => alarm.bed !== '' && toBed(alarm.bed)}
    >
      <span class="what">
        <b>{alarm.bed}</b> {asterisks(alarm.priority)} {text}
      </span>
      <small>
        <b>
          <Symbol sign={alarm.sign} />
          {duration(alarm.sinceMs + now.value)}
        </b>
        {(lead || alarm.sign === 'none') &&
          remarks(alarm, wall(now.value)).map((words) => <span key={words}>{words}</span>)}
        {!lead && alarm.sign !== 'none' && <span class="brief">{brief(alarm)}</span>}
      </small>
    </button>
  )
}

// A bed with no chip of its own still stands on top, by its number and its loudest alarm.
function onePerBed(hidden: ShownAlarm[], shown: ShownAlarm[]): ShownAlarm[] {
  const beds = new Set(shown.map((alarm) => alarm.bed))
  return hidden.filter((alarm) => !beds.has(alarm.bed) && beds.add(alarm.bed))
}

function Badge({ alarm }: { alarm: ShownAlarm }): VNode {
  return (
    <button type="button" class={`chip badge ${alarm.priority} ${alarm.manner}`} data-shows={mark(alarm)} title={label(alarm.text)} onClick={() => alarm.bed !== '' && toBed(alarm.bed)}>
      <span class="what">
        {alarm.bed} {asterisks(alarm.priority)}
      </span>
    </button>
  )
}

// What room there is for beside a sign: how long a pause still lasts, or what is on its way.
function brief(alarm: ShownAlarm): string {
  if (alarm.sent !== '') return 'SENT'
  return alarm.untilMs === null ? '' : duration(alarm.untilMs - wall(now.value))
}

// Spoken by a screen reader: only what is high interrupts.
export function Announcer(): VNode {
  const alarms = useComputed(() => allAlarms().filter((a) => a.manner !== 'plain'))
  const words = (list: ShownAlarm[]): string => list.map((a) => `Bed ${a.bed}: ${a.text}`).join('. ')
  return (
    <div class="unseen">
      <div role="alert">{words(alarms.value.filter((a) => a.priority === 'high'))}</div>
      <div aria-live="polite">{words(alarms.value.filter((a) => a.priority === 'medium'))}</div>
    </div>
  )
}
