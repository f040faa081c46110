// One bed in its fixed place: who, what is wrong, waves, numbers, devices.

import { useComputed } from '@preact/signals'
import type { VNode } from 'preact'
import { hubLink } from './age'
import { alarmsOf, mark, remarks, sentWords, type ShownAlarm } from './alarms'
import type { BedView, Device, LimitsState, Patient } from './api'
import { bedState, connected, heardAt, type BedState } from './feed'
import { asterisks, clock, counter, duration, gestation, grams, label, ucumText } from './format'
import { ageWords, BloodPressure, Measured, pressureWords, readingWords } from './number'
import { pick, type Pressure, type Reading } from './pick'
import { now, wall } from './pulse'
import { Symbol } from './symbols'
import { toBed } from './view'
import { Waves } from './waves'

export function Tile({ bed, lanes, still = false }: { bed: string; lanes: number; still?: boolean }): VNode {
  const state = bedState(bed).value
  const lost = useComputed(() => hubLink(now.value - heardAt.value, connected.value) === 'lost').value
  if (state === undefined) return <article class="tile" />
  const elapsed = Math.max(0, now.value - state.receivedAt)
  const alarms = alarmsOf(state.view, state.hubAtMs + elapsed)
  const top = alarms[0]
  const framed = top !== undefined && top.manner !== 'plain' ? `${top.priority} ${top.manner}` : ''
  const go = (): void => toBed(bed)
  return (
    <article
      class={`tile ${state.view.state} ${framed}${lost ? ' unknown' : ''}`}
      data-bed={bed}
      tabIndex={still ? -1 : 0}
      aria-label={`Bed ${bed}${state.view.patient === null ? ', available' : ''}`}
      onClick={still ? undefined : go}
      onKeyDown={still ? undefined : (event) => event.key === 'Enter' && go()}
    >
      {state.view.state === 'available' ? (
        <Available view={state.view} />
      ) : (
        <Occupied state={state} elapsed={elapsed} alarms={alarms} lost={lost} lanes={lanes} />
      )}
    </article>
  )
}

function Available({ view }: { view: BedView }): VNode {
  const talking = view.values.length > 0
  return (
    <div class="free">
      <b>{view.bed}</b>
      <span>available</span>
      {talking && <span class="talking">a device is sending; no patient admitted</span>}
    </div>
  )
}

function Occupied(props: {
  state: BedState
  elapsed: number
  alarms: ShownAlarm[]
  lost: boolean
  lanes: number
}): VNode {
  const { state, elapsed, alarms, lost, lanes } = props
  const view = state.view
  const picked = pick(view, elapsed, lost)
  const silent = view.link_lost_ms !== null || view.agent === null || view.agent.state === 'never'
  return (
    <div class="inner">
      <Identity view={view} />
      {!silent && (
        <div class="top">
          <AlarmBar alarms={alarms} />
          <Held view={view} told={alarms[0]?.sign === 'paused'} />
        </div>
      )}
      {silent ? (
        <NoData state={state} elapsed={elapsed} alarms={alarms} />
      ) : (
        <>
          <div class="waves">
            <Waves bed={view.bed} lanes={lanes} />
            {view.agent?.simulated === true && <span class="watermark">SIMULATED</span>}
          </div>
          <div class="numbers">
            <div class="first">
              <Measured place="hr" reading={picked.places.hr} bed={view} alarms={alarms} />
              <Measured place="spo2" reading={picked.places.spo2} bed={view} alarms={alarms} />
            </div>
            <div class="second">
              <Measured place="rr" reading={picked.places.rr} bed={view} alarms={alarms} />
              <BloodPressure pressure={picked.pressure} bed={view} alarms={alarms} />
              <Measured place="temp" reading={picked.places.temp} bed={view} alarms={alarms} />
            </div>
          </div>
          <div class="foot">
            <Further readings={picked.further} pressures={picked.pressures} codes={view.values.map((value) => value.code)} />
            <Links view={view} />
          </div>
        </>
      )}
    </div>
  )
}

function Identity({ view }: { view: BedView }): VNode {
  return (
    <div class="identity">
      <b>{view.bed}</b>
      <span class="who">{view.patient?.name ?? ''}</span>
      <span class="facts">{facts(view.patient)}</span>
    </div>
  )
}

export function facts(patient: Patient | null): string {
  if (patient === null) return ''
  const days = patient.day_of_life === null ? '' : `DOL ${patient.day_of_life}`
  return [gestation(patient.gestational_age), days, grams(patient.weight_g)].filter((w) => w !== '').join(' · ')
}

function AlarmBar({ alarms }: { alarms: ShownAlarm[] }): VNode | null {
  const alarm = alarms[0]
  if (alarm === undefined) return null
  const text = label(alarm.text)
  const small = remarks(alarm, wall(now.value))
  if (alarms.length > 1) small.push(`+${alarms.length - 1}`)
  const chars = asterisks(alarm.priority).length + 1 + text.length
  return (
    <div
      class={`bar ${alarm.priority} ${alarm.manner}${alarm.technical ? ' technical' : ''}`}
      style={{ '--chars': String(Math.max(12, chars)) }}
      title={[text, ...alarm.parts].join(' · ')}
      data-shows={mark(alarm)}
    >
      <span class="what">
        {asterisks(alarm.priority)} {text}
      </span>
      <span class="since">
        <b>
          <Symbol sign={alarm.sign} />
          {duration(alarm.sinceMs)}
        </b>
        <small>{small.join(' · ')}</small>
      </span>
    </div>
  )
}

// What holds the bed's alarms back, in no alarm colour, and what of it is only asked for.
export function Held({ view, told = false }: { view: BedView; told?: boolean }): VNode | null {
  const { pause = null, standby = null } = view
  const sent = (view.requested ?? []).map(sentWords).join(' · ')
  if ((pause === null || told) && standby === null && sent === '') return null
  const at = wall(now.value)
  return (
    <div class="held">
      {pause !== null && !told && (
        <span>
          <Symbol sign="paused" /> AUDIO PAUSED <b>{duration(pause.until_ms - at)}</b>
        </span>
      )}
      {standby !== null && (
        <span>
          <Symbol sign="off" /> STANDBY <b>{duration(standby.until_ms - at)}</b> {standby.reason}
        </span>
      )}
      {sent !== '' && <span>{sent}</span>}
    </div>
  )
}

function NoData({ state, elapsed, alarms }: { state: BedState; elapsed: number; alarms: ShownAlarm[] }): VNode {
  const { view, hubAtMs } = state
  const since = view.link_lost_ms
  const still = alarms.filter((alarm) => alarm.episode !== null)
  const why =
    view.agent === null ? 'no gateway assigned' : view.agent.state === 'never' ? 'gateway never connected' : 'gateway not heard'
  return (
    <div class="nodata" data-shows={alarms[0] === undefined ? undefined : mark(alarms[0])}>
      <b class={since === null ? '' : 'alarming'}>{since === null ? 'NO DATA' : '** NO DATA'}</b>
      {since !== null && <span class="count">{counter(since + elapsed)}</span>}
      <span>
        {why}
        {since !== null && ` · last contact ${clock(hubAtMs - since, true)}`}
      </span>
      {still.length > 0 && <span class="last">last known: {still.map((a) => a.text).join(', ')}</span>}
      {view.agent?.simulated === true && <span class="watermark">SIMULATED</span>}
    </div>
  )
}

function Further(props: { readings: Reading[]; pressures: Pressure[]; codes: number[] }): VNode {
  const { readings, pressures, codes } = props
  return (
    <div class="further">
      {pressures.map((pressure) => (
        <FurtherPressure key={pressure.label} pressure={pressure} />
      ))}
      {readings.map((reading) => {
        const several = codes.filter((code) => code === reading.value.code).length > 1
        const words = readingWords(reading)
        const when = ageWords(reading)
        return (
          <span class={words.dim ? 'dim' : ''} key={`${reading.value.code}/${reading.value.site}/${reading.value.device}`}>
            {label(reading.value.label)} <b>{words.text}</b>
            {words.marks.includes('?') && '?'} {reading.value.setting ? 'set' : ucumText(reading.value.ucum)}
            {several && <i> {reading.value.device}</i>}
            {when !== '' && <i> {when}</i>}
          </span>
        )
      })}
    </div>
  )
}

function FurtherPressure({ pressure }: { pressure: Pressure }): VNode | null {
  const lead = pressure.systolic ?? pressure.mean
  if (lead === undefined) return null
  const { text, dim } = pressureWords(pressure)
  return (
    <span class={dim ? 'dim' : ''}>
      {pressure.label} <b>{text}</b> {ageWords(lead)}
    </span>
  )
}

const LIMITS: Partial<Record<LimitsState, string>> = {
  none: 'limits not known',
  requested: 'limits requested',
  accepted: 'limits requested',
  refused: 'LIMITS REFUSED',
  reset: 'LIMITS RESET',
  unconfirmed: 'LIMITS UNCONFIRMED',
}

function Links({ view }: { view: BedView }): VNode {
  const agent = view.agent?.state ?? 'never'
  return (
    <div class="links">
      {agent !== 'live' && <span class="said">gateway {agent}</span>}
      {troubledFirst(view.devices).map((device) => (
        <Link key={device.link} device={device} />
      ))}
      {view.watch?.covered === false && view.state === 'occupied' && <span class="said">no station watches this bed</span>}
      {LIMITS[view.limits_state] !== undefined && <span class="said">{LIMITS[view.limits_state]}</span>}
      {view.limits_note?.age_step != null && <span class="said">limits of another age wait</span>}
      {view.agent?.simulated === true && <span class="simulated">SIMULATED</span>}
    </div>
  )
}

function troubledFirst(devices: Device[]): Device[] {
  return [...devices].sort((a, b) => Number(a.state === 'live') - Number(b.state === 'live') || a.link - b.link)
}

// Filled: data flows. Hollow, with the word: it does not.
export function Link({ device }: { device: Device }): VNode {
  const live = device.state === 'live'
  return (
    <span class={live ? 'link' : 'link said'}>
      {live ? '●' : '○'} {device.model === '' ? device.name : device.model}
      {live ? '' : ` ${device.state.replaceAll('-', ' ')}`}
    </span>
  )
}
