// One bed, everything known of it: the large tile, and beside it every alarm, value, limit and device with its age.

import type { VNode } from 'preact'
import { hubLink, judge } from './age'
import { Alone } from './alone'
import type { BedView, DeviceClock } from './api'
import { bedState, connected, heardAt } from './feed'
import { age, asterisks, clockError, hubClockError, duration, gestation, grams, label, site, ucumText } from './format'
import { ageWords, readingWords } from './number'
import { limitsOf } from './pick'
import { now, wall } from './pulse'
import { Link, Tile } from './tile'
import { ask, askAbout, isAnswerable } from './act'
import { alarmsOf, remarks, type ShownAlarm } from './alarms'
import { Symbol } from './symbols'
import { toAdmission, toLimits, toReview, toTrend, toUnit } from './view'

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
        <nav class="ways">
          <button type="button" class="act" onClick={toUnit}>
            <kbd>Esc</kbd> all beds
          </button>
          <button type="button" class="act" onClick={() => toTrend(bed)}>
            <kbd>T</kbd> trend
          </button>
          <button type="button" class="act" onClick={() => toReview(bed)}>
            <kbd>H</kbd> alarms
          </button>
          <button type="button" class="act" onClick={() => toLimits(bed)}>
            <kbd>L</kbd> limits
          </button>
          <button type="button" class="act" onClick={() => toAdmission(bed)}>
            <kbd>M</kbd> admission
          </button>
        </nav>
        {state !== undefined && (
          <>
            <Who view={state.view} />
            <Alarms alarms={alarmsOf(state.view, state.hubAtMs + elapsed)} view={state.view} />
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

function Alarms({ alarms, view }: { alarms: ShownAlarm[]; view: BedView }): VNode {
  const paused = (view.pause ?? null) !== null
  const held = (view.standby ?? null) !== null
  const answered = alarms.find(isAnswerable)
  return (
    <section class="answers" aria-label="Alarms">
      {alarms.map((alarm) => (
        <Answer key={alarm.key} alarm={alarm} meant={alarm === answered} />
      ))}
      <div class="choices">
        <button type="button" class="act" onClick={() => ask({ of: paused ? 'end-pause' : 'pause', bed: view.bed })}>
          <Symbol sign="paused" />
          {paused ? 'end the pause' : 'pause sound'} <kbd>P</kbd>
        </button>
        <button type="button" class="act" onClick={() => ask({ of: held ? 'end-standby' : 'standby', bed: view.bed })}>
          {held ? 'end standby' : 'standby'}
        </button>
      </div>
    </section>
  )
}

// `meant`: the one that the key A means.
function Answer({ alarm, meant }: { alarm: ShownAlarm; meant: boolean }): VNode {
  const words = remarks(alarm, wall(now.value))
  const episode = alarm.episode
  return (
    <div class={`answer ${alarm.priority}`}>
      <div class="said">
        <b>
          {asterisks(alarm.priority)} {label(alarm.text)}
        </b>
        <span class="since">{duration(alarm.sinceMs)}</span>
        <span class="remarks">
          <Symbol sign={alarm.sign} />
          {[...words, ...alarm.parts.map(label)].join(' · ')}
        </span>
      </div>
      {episode !== null && (
        <div class="choices">
          {isAnswerable(alarm) && (
            <button type="button" class="act strong" disabled={alarm.sent !== ''} onClick={() => askAbout(alarm)}>
              {alarm.latched ? 'reset' : 'acknowledge'} {meant && <kbd>A</kbd>}
            </button>
          )}
          <button type="button" class="act" onClick={() => ask({ of: 'responsibility', bed: alarm.bed, episode, answer: alarm.taken === '' ? 'accept' : 'withdraw' })}>
            {alarm.taken === '' ? 'take it' : 'give it back'}
          </button>
          {alarm.taken === '' && (
            <button type="button" class="act" onClick={() => ask({ of: 'responsibility', bed: alarm.bed, episode, answer: 'reject' })}>
              pass it on
            </button>
          )}
        </div>
      )}
    </div>
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
