// One bed, everything known of it: the large tile, and beside it every alarm, value, limit and device with its age.

import type { VNode } from 'preact'
import { hubLink, judge } from './age'
import { Alone } from './alone'
import type { BedView, DeviceClock } from './api'
import { bedState, connected, heardAt } from './feed'
import { age, asterisks, clock, clockError, hubClockError, duration, gestation, grams, label, site, ucumText } from './format'
import { ageWords, readingWords } from './number'
import { limitsOf } from './pick'
import { now, wall } from './pulse'
import { Link, Tile } from './tile'
import { toTrend, toUnit } from './view'

export function Focus({ bed }: { bed: string }): VNode {
  const state = bedState(bed).value
  const lost = hubLink(now.value - heardAt.value, connected.value) === 'lost'
  const elapsed = state === undefined ? 0 : Math.max(0, now.value - state.receivedAt)
  return (
    <main class="focus">
      <Alone key={bed} bed={bed}>
        <Tile bed={bed} lanes={4} still />
      </Alone>
      <section class="details" aria-label={`Bed ${bed}, details`}>
        <button type="button" class="back" onClick={toUnit}>
          <kbd>Esc</kbd> all beds
        </button>{' '}
        <button type="button" class="back" onClick={() => toTrend(bed)}>
          <kbd>T</kbd> trend
        </button>
        {state !== undefined && (
          <>
            <Who view={state.view} />
            <Alarms view={state.view} at={wall(now.value)} />
            <Values view={state.view} elapsed={elapsed} lost={lost} />
            <Devices view={state.view} elapsed={elapsed} />
          </>
        )}
      </section>
    </main>
  )
}

function Who({ view }: { view: BedView }): VNode {
  const patient = view.patient
  if (patient === null) return <p class="whois">no patient admitted</p>
  const facts: [string, string][] = [
    ['identifier', patient.identifier],
    ['born', patient.birth_date],
    ['GA', gestation(patient.gestational_age)],
    ['PMA', gestation(patient.pma)],
    ['DOL', patient.day_of_life === null ? '' : String(patient.day_of_life)],
    ['weight', grams(patient.weight_g)],
  ]
  return (
    <dl class="whois">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Alarms({ view, at }: { view: BedView; at: number }): VNode | null {
  const alarms = view.alarms.filter((alarm) => alarm.condition !== 'inactive')
  if (alarms.length === 0) return null
  return (
    <table class="list">
      <caption>Alarms</caption>
      <tbody>
        {alarms.map((alarm) => (
          <tr key={String(alarm.episode)} class={alarm.condition === 'delaying' ? 'delaying' : alarm.priority}>
            <th scope="row">
              {alarm.condition === 'delaying' ? '' : asterisks(alarm.priority)} {label(alarm.text)}
            </th>
            <td>{alarm.condition}</td>
            <td>{alarm.inactivation.state === 'enabled' ? '' : alarm.inactivation.state}</td>
            <td>since {clock(alarm.active_ms ?? alarm.onset_ms, true)}</td>
            <td class="n">{duration(at - (alarm.active_ms ?? alarm.onset_ms))}</td>
            <td>{alarm.recorded ? '' : 'NOT RECORDED'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Values({ view, elapsed, lost }: { view: BedView; elapsed: number; lost: boolean }): VNode {
  return (
    <table class="list">
      <caption>Values{view.limits_state === 'requested' && ' (limits requested, not yet in force)'}</caption>
      <tbody>
        {view.values.map((value) => {
          const reading = { value, judged: judge(value, elapsed, lost) }
          const words = readingWords(reading)
          const limits = limitsOf(view.limits, value.code)
          const bounded = limits.low !== undefined || limits.high !== undefined
          return (
            <tr
              key={`${value.code}/${value.site}/${value.device}/${value.setting}`}
              class={`${reading.judged.freshness} ${words.dim ? 'dim' : ''}`}
            >
              <th scope="row">
                {label(value.name === '' ? value.label : value.name)} {site(value.site)}
                {value.setting && <i> set</i>}
              </th>
              <td class="n big">{words.text}</td>
              <td>{ucumText(value.ucum)}</td>
              <td class="n">{bounded ? `${limits.low ?? ''}–${limits.high ?? ''}` : ''}</td>
              <td class="n">{value.pace === 'episodic' ? ageWords(reading) : age(reading.judged.ageMs)}</td>
              <td>{value.pace === 'continuous' ? '' : value.pace.toUpperCase()}</td>
              <td>{value.quality.join(', ')}</td>
              <td class="from">{value.device}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Devices({ view, elapsed }: { view: BedView; elapsed: number }): VNode {
  const agent = view.agent
  return (
    <table class="list">
      <caption>Devices</caption>
      <tbody>
        {agent !== null && (
          <tr>
            <th scope="row">
              {agent.state === 'live' ? '●' : '○'} {agent.id}
            </th>
            <td>gateway{agent.simulated ? ', SIMULATED' : ''}</td>
            <td>
              {agent.state}
              {agent.clock?.off === true && <i> {hubClockError(agent.clock.offset_ms)}</i>}
            </td>
            <td class="n">{agent.heard_ms === null ? '' : age(agent.heard_ms + elapsed)}</td>
          </tr>
        )}
        {view.devices.map((device) => (
          <tr key={device.link}>
            <th scope="row">
              <Link device={device} />
            </th>
            <td>
              {[device.manufacturer, device.model, device.serial].filter((w) => w !== '').join(' ')}{' '}
              <i>{device.driver}</i>
            </td>
            <td>
              {device.state}
              {device.detail === '' ? '' : `: ${device.detail}`}
              <ClockNote of={device.clock ?? null} />
            </td>
            <td class="n">{device.heard_ms === null ? '' : age(device.heard_ms + elapsed)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

// Quiet, and only where a reading of the device's own clock would mislead.
function ClockNote({ of }: { of: DeviceClock | null }): VNode | null {
  const words = of === null ? null : clockError(of)
  return words === null ? null : <i> {words}</i>
}
