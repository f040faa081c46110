// One measured number in its fixed place: digits, limits beside it, and whatever must be said about its age and quality.

import type { VNode } from 'preact'
import { shown, type Shown } from './age'
import { highlight, type ShownAlarm } from './alarms'
import type { BedView } from './api'
import { age, clock, label, site, ucumText } from './format'
import { limitsOf, placeLabel, type Place, type Pressure, type Reading } from './pick'

const CODES: Record<Place, number> = { hr: 147842, spo2: 150456, rr: 151578, temp: 0 }

export function Measured(props: {
  place: Place
  reading: Reading | undefined
  bed: BedView
  alarms: ShownAlarm[]
}): VNode {
  const { place, reading, bed, alarms } = props
  const code = reading?.value.code ?? CODES[place]
  const limits = limitsOf(bed.limits, code)
  // A broken limit that is still waiting out its delay is marked hollow, in no alarm colour.
  const near = bed.alarms.find((a) => a.condition === 'delaying' && a.code === code)?.rule
  const words = readingWords(reading)
  return (
    <div class={`num ${place} ${manner(reading, words, highlight(alarms, [code]))}`}>
      <Label
        text={label(placeLabel(place, reading))}
        site={site(reading?.value.site ?? null)}
        ucum={ucumText(reading?.value.ucum ?? null)}
        words={words}
        reading={reading}
      />
      <div class="row">
        <span class="digits">{words.text}</span>
        {words.marks.includes('?') && <span class="doubt">?</span>}
        {(limits.low !== undefined || limits.high !== undefined) && (
          <span class={`limits ${bed.limits_state}`}>
            <span class={near === 'limit-high' ? 'near' : ''}>{limits.high ?? ''}</span>
            <span class={near === 'limit-low' ? 'near' : ''}>{limits.low ?? ''}</span>
          </span>
        )}
      </div>
    </div>
  )
}

export function BloodPressure(props: {
  pressure: Pressure | undefined
  bed: BedView
  alarms: ShownAlarm[]
}): VNode {
  const { pressure, bed, alarms } = props
  const lead = pressure?.systolic ?? pressure?.mean
  const words = readingWords(lead)
  const systolic = readingWords(pressure?.systolic)
  const diastolic = readingWords(pressure?.diastolic)
  const mean = readingWords(pressure?.mean)
  const meanLimits = limitsOf(bed.limits, pressure?.codes[2])
  const bounded = meanLimits.low !== undefined || meanLimits.high !== undefined
  const between = bounded ? `${meanLimits.low ?? ''}–${meanLimits.high ?? ''}` : ''
  const pair = systolic.isNumber && diastolic.isNumber ? `${systolic.text}/${diastolic.text}` : words.text
  return (
    <div class={`num bp ${manner(lead, words, highlight(alarms, pressure?.codes ?? []))}`}>
      <Label
        text={pressure?.label ?? 'BP'}
        site=""
        between={between}
        ucum={ucumText(lead?.value.ucum ?? null)}
        words={words}
        reading={lead}
      />
      <div class="row">
        <span class="digits">{pair}</span>
        {mean.isNumber && <span class="mean">({mean.text})</span>}
        {words.marks.includes('?') && <span class="doubt">?</span>}
      </div>
    </div>
  )
}

function Label(props: {
  text: string
  site: string
  // Limits that have no room beside the number.
  between?: string
  ucum: string
  words: Shown
  reading: Reading | undefined
}): VNode {
  const when = props.reading === undefined ? '' : ageWords(props.reading)
  const marks = props.words.marks.filter((mark) => mark !== '?')
  return (
    <div class="label">
      <span class="name">
        {props.text}
        {props.site !== '' && <i> {props.site}</i>}
      </span>
      <span class="ucum">{props.ucum}</span>
      {props.between !== undefined && props.between !== '' && <span class="between">{props.between}</span>}
      {marks.length > 0 && <span class="mark">{marks.join(' ')}</span>}
      {when !== '' && <span class="age">{when}</span>}
    </div>
  )
}

// 58/34 (42), as far as it is known.
export function pressureWords(pressure: Pressure): { text: string; dim: boolean } {
  const lead = readingWords(pressure.systolic ?? pressure.mean)
  const systolic = readingWords(pressure.systolic)
  const diastolic = readingWords(pressure.diastolic)
  const mean = readingWords(pressure.mean)
  const pair = systolic.isNumber && diastolic.isNumber ? `${systolic.text}/${diastolic.text}` : lead.text
  return { text: mean.isNumber && pair !== mean.text ? `${pair} (${mean.text})` : pair, dim: lead.dim }
}

const NOTHING: Shown = { text: '', isNumber: false, marks: [], dim: true }

export function readingWords(reading: Reading | undefined): Shown {
  return reading === undefined ? NOTHING : shown(reading.value, reading.judged.freshness)
}

// An episodic value always says when; any other says how old it is as soon as that matters.
export function ageWords(reading: Reading): string {
  const { value, judged } = reading
  if (value.pace === 'episodic') return clock(value.at_ms)
  return judged.freshness === 'fresh' ? '' : age(judged.ageMs)
}

function manner(reading: Reading | undefined, words: Shown, alarm: ShownAlarm | undefined): string {
  const freshness = reading?.judged.freshness ?? 'none'
  const alarmed = alarm === undefined ? '' : `alarmed ${alarm.priority} ${alarm.manner}`
  return `${freshness} ${words.dim && alarm === undefined ? 'dim' : ''} ${alarmed}`
}
