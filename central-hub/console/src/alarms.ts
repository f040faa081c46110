// What the station makes of the alarms it is sent: which show, how they show, and in which order.

import type { Alarm, BedView, Priority, Requested, Responsibility } from './api'
import { clock, duration } from './format'

// flash: as the priority flashes. solid: colour and text, still (audio paused, acknowledged). plain: words only.
export type Manner = 'flash' | 'solid' | 'plain'

// What a symbol says beside the words.
export type Sign = 'paused' | 'off' | 'acknowledged' | 'latched' | 'none'

export interface ShownAlarm {
  key: string
  bed: string
  // null: the station's or the hub's own word, which nobody can acknowledge.
  episode: string | null
  version: number
  // The version from which it asks for attention anew: what was acknowledged of an earlier one is refused.
  attention: number
  priority: Priority
  technical: boolean
  manner: Manner
  sign: Sign
  text: string
  parts: string[]
  // How long it has been active, at the moment of the frame.
  sinceMs: number
  code: number | null
  recorded: boolean
  latched: boolean
  // Hub wall time at which a pause ends by itself.
  untilMs: number | null
  // "AUDIO PAUSED", "ACK by X 14:02", "LATCHED"
  note: string
  // "ACK SENT by X": asked for, not yet confirmed by the bed.
  sent: string
  // "ACCEPTED by X"
  taken: string
  // Whom it calls beyond the first, while nobody has accepted: "CALLS bo, cy".
  calls: string
}

const RANK: Record<Priority, number> = { high: 3, medium: 2, low: 1, advisory: 0 }
const NOTES: Record<string, string> = {
  'audio-paused': 'AUDIO PAUSED',
  'audio-off': 'AUDIO OFF',
  'alarm-paused': 'PAUSED',
  'alarm-off': 'OFF',
}
const SIGNS: Record<string, Sign> = {
  'audio-paused': 'paused',
  'audio-off': 'off',
  acknowledged: 'acknowledged',
  'alarm-paused': 'off',
  'alarm-off': 'off',
}
const SENT: Record<string, string> = {
  acknowledge: 'ACK SENT',
  reset: 'RESET SENT',
  'pause-audio': 'PAUSE SENT',
  'end-pause': 'END OF PAUSE SENT',
  standby: 'STANDBY SENT',
  'end-standby': 'END OF STANDBY SENT',
  'accept-limits': 'LIMITS SENT',
}

const HUBS_OWN = 'hub-'
const OFFLINE = 'hub-agent-offline'

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
  const found = bed.alarms.filter(isShown).map((alarm) => shownOf(bed.bed, alarm, hubAtMs))
  const lost = linkLost(bed)
  return (lost === undefined ? found : [...found, lost]).sort(byUrgency)
}

// The unit's own alarms stand in the strip beside the beds'.
export function unitAlarmsOf(alarms: Alarm[], hubAtMs: number): ShownAlarm[] {
  return alarms.filter(isShown).map((alarm) => shownOf('', alarm, hubAtMs))
}

function shownOf(bed: string, alarm: Alarm, hubAtMs: number): ShownAlarm {
  const { inactivation, responsibility } = alarm
  const latched = alarm.condition === 'latched'
  return {
    key: `${bed}/${alarm.episode}`,
    bed,
    episode: String(alarm.episode).startsWith(HUBS_OWN) ? null : String(alarm.episode),
    version: alarm.version,
    attention: alarm.attention ?? alarm.version,
    priority: alarm.priority,
    technical: alarm.kind !== 'physiological',
    manner: mannerOf(alarm),
    sign: SIGNS[inactivation.state] ?? (latched ? 'latched' : 'none'),
    text: alarm.text,
    parts: alarm.parts ?? [],
    sinceMs: Math.max(0, hubAtMs - (alarm.active_ms ?? alarm.onset_ms)),
    code: alarm.code,
    recorded: alarm.recorded,
    latched,
    untilMs: inactivation.until_ms ?? (inactivation.until_us === undefined ? null : inactivation.until_us / 1000),
    note: noteOf(alarm, latched),
    sent: sentWords(alarm.requested),
    taken: responsibility?.state === 'accepted' ? `ACCEPTED by ${responsibility.by ?? '?'}` : '',
    calls: alarm.priority === 'advisory' ? '' : callsOf(responsibility),
  }
}

function callsOf(responsibility: Responsibility | null | undefined): string {
  if (responsibility == null || responsibility.state === 'accepted') return ''
  const { tier = 0, called } = responsibility
  const passed = responsibility.state === 'rejected' ? `PASSED ON by ${responsibility.by ?? '?'}` : ''
  const people = called?.unit === true ? 'the unit' : (called?.people ?? []).join(', ')
  return [passed, tier > 0 && people !== '' ? `CALLS ${people}` : ''].filter((w) => w !== '').join(', ')
}

function noteOf(alarm: Alarm, latched: boolean): string {
  const { state, by, at_ms, at_us } = alarm.inactivation
  const words: string[] = []
  if (state === 'acknowledged') {
    const at = at_ms ?? (at_us === undefined || at_us === 0 ? undefined : at_us / 1000)
    words.push(['ACK', by ? `by ${by}` : '', at === undefined ? '' : clock(at)].filter((w) => w !== '').join(' '))
  } else if (state !== 'enabled') words.push(NOTES[state] ?? state.toUpperCase())
  if (latched) words.push('LATCHED')
  if (alarm.late === true) words.push('LATE')
  return words.join(' · ')
}

export function sentWords(requested: Requested | null | undefined): string {
  if (requested === null || requested === undefined) return ''
  const { act, by, state = 'sent', words = '' } = requested
  const sent = SENT[act] ?? `${act.toUpperCase()} SENT`
  if (state === 'refused') return `${sent.replace('SENT', 'REFUSED')}${words === '' ? '' : `: ${words}`}`
  if (state === 'expired') return sent.replace('SENT', 'CAME TOO LATE')
  return `${sent} by ${by}`
}

// A bed that cannot be heard cannot say so itself; the station says it, as a medium technical alarm.
function linkLost(bed: BedView): ShownAlarm | undefined {
  // The hub may say the same.
  if (bed.state !== 'occupied' || bed.link_lost_ms === null || bed.alarms.some((alarm) => alarm.rule === OFFLINE)) return undefined
  return own(bed.bed, 'no-data', 'medium', 'NO DATA', bed.link_lost_ms)
}

// What the station says of a bed, or of itself, by itself.
export function own(bed: string, name: string, priority: Priority, text: string, sinceMs: number): ShownAlarm {
  return {
    key: `${bed}/${name}`, bed, episode: null, version: 0, attention: 0, priority, technical: true, manner: 'flash', sign: 'none', text, parts: [], sinceMs,
    code: null, recorded: true, latched: false, untilMs: null, note: '', sent: '', taken: '', calls: '',
  }
}

// Highest first; what is quiet after what is not; the patient before the technology; among equals the newest first; the bed breaks
// the tie so that the order is total.
export function byUrgency(a: ShownAlarm, b: ShownAlarm): number {
  return (
    RANK[b.priority] - RANK[a.priority] ||
    Number(a.manner === 'plain') - Number(b.manner === 'plain') ||
    Number(a.manner === 'solid') - Number(b.manner === 'solid') ||
    Number(a.technical) - Number(b.technical) ||
    a.sinceMs - b.sinceMs ||
    a.bed.localeCompare(b.bed)
  )
}

// What is said beside the alarm's text at this hub time: why it is quiet and for how long, and what is not on disk yet.
export function remarks(alarm: ShownAlarm, wallMs: number): string[] {
  const left = alarm.untilMs === null ? '' : ` ${duration(alarm.untilMs - wallMs)}`
  return [alarm.sent, alarm.note === '' ? '' : alarm.note + left, alarm.taken, alarm.calls, alarm.recorded ? '' : 'NOT RECORDED'].filter((w) => w !== '')
}

// The priority that colours a number, if an alarm names its code.
export function highlight(alarms: ShownAlarm[], codes: number[]): ShownAlarm | undefined {
  return alarms.find((alarm) => alarm.code !== null && codes.includes(alarm.code) && alarm.manner !== 'plain')
}

// What the page says that it shows of a bed: read back from the page before a receipt is given.
export function mark(alarm: ShownAlarm): string {
  return `${alarm.key}@${alarm.version}`
}
