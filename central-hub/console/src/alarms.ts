// What the station makes of the alarms it is sent: which show, how they show, and in which order.

import type { Alarm, BedView, Priority } from './api'
import { duration } from './format'

// flash: as the priority flashes. solid: colour and text, still (audio paused, acknowledged). plain: words only.
export type Manner = 'flash' | 'solid' | 'plain'

export interface ShownAlarm {
  key: string
  bed: string
  priority: Priority
  manner: Manner
  text: string
  // How long it has been active, at the moment of the frame.
  sinceMs: number
  code: number | null
  recorded: boolean
  // Hub wall time at which a pause ends by itself.
  untilMs: number | null
  // "AUDIO PAUSED", "ACK", "LATCHED"
  note: string
}

const RANK: Record<Priority, number> = { high: 3, medium: 2, low: 1, advisory: 0 }
const NOTES: Record<string, string> = {
  'audio-paused': 'AUDIO PAUSED',
  'audio-off': 'AUDIO OFF',
  acknowledged: 'ACK',
  'alarm-paused': 'PAUSED',
  'alarm-off': 'OFF',
}

// `delaying` is not an alarm yet and takes no alarm colour.
export function isShown(alarm: Alarm): boolean {
  return alarm.condition === 'active' || alarm.condition === 'latched'
}

export function mannerOf(alarm: Pick<Alarm, 'condition' | 'priority' | 'inactivation'>): Manner {
  if (alarm.condition === 'latched' && alarm.priority !== 'high') return 'plain'
  if (alarm.priority === 'advisory') return 'plain'
  if (alarm.inactivation.state !== 'enabled') return 'solid'
  return 'flash'
}

// `hubAtMs` is the hub's wall time of the frame: onset and activation are wall times.
export function alarmsOf(bed: BedView, hubAtMs: number): ShownAlarm[] {
  const found = bed.alarms.filter(isShown).map((alarm) => ({
    key: `${bed.bed}/${alarm.episode}`,
    bed: bed.bed,
    priority: alarm.priority,
    manner: mannerOf(alarm),
    text: alarm.text,
    sinceMs: Math.max(0, hubAtMs - (alarm.active_ms ?? alarm.onset_ms)),
    code: alarm.code,
    recorded: alarm.recorded,
    untilMs: alarm.inactivation.until_us === undefined ? null : alarm.inactivation.until_us / 1000,
    note: NOTES[alarm.inactivation.state] ?? (alarm.condition === 'latched' ? 'LATCHED' : ''),
  }))
  const lost = linkLost(bed)
  return (lost === undefined ? found : [...found, lost]).sort(byUrgency)
}

// A bed that cannot be heard cannot say so itself; the station says it, as a medium technical alarm.
function linkLost(bed: BedView): ShownAlarm | undefined {
  if (bed.state !== 'occupied' || bed.link_lost_ms === null) return undefined
  return {
    key: `${bed.bed}/no-data`,
    bed: bed.bed,
    priority: 'medium',
    manner: 'flash',
    text: 'NO DATA',
    sinceMs: bed.link_lost_ms,
    code: null,
    recorded: true,
    untilMs: null,
    note: '',
  }
}

// Highest first; among equals the newest first; the bed breaks the tie so that the order is total.
export function byUrgency(a: ShownAlarm, b: ShownAlarm): number {
  return (
    RANK[b.priority] - RANK[a.priority] ||
    Number(a.manner === 'plain') - Number(b.manner === 'plain') ||
    a.sinceMs - b.sinceMs ||
    a.bed.localeCompare(b.bed)
  )
}

// What is said beside the alarm's text at this hub time: why it is quiet and for how long, and what is not on disk yet.
export function remarks(alarm: ShownAlarm, wallMs: number): string[] {
  const left = alarm.untilMs === null ? '' : ` ${duration(alarm.untilMs - wallMs)}`
  return [alarm.note === '' ? '' : alarm.note + left, alarm.recorded ? '' : 'NOT RECORDED'].filter((w) => w !== '')
}

// The priority that colours a number, if an alarm names its code.
export function highlight(alarms: ShownAlarm[], codes: number[]): ShownAlarm | undefined {
  return alarms.find((alarm) => alarm.code !== null && codes.includes(alarm.code) && alarm.manner !== 'plain')
}
