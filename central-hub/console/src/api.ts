// The hub's API v1 as the console reads it: shapes only, no behaviour.

export type Pace = 'continuous' | 'trend' | 'episodic'
export type Priority = 'high' | 'medium' | 'low' | 'advisory'
export type AgentState = 'live' | 'late' | 'lost' | 'never'

export interface Value {
  code: number
  label: string
  name: string
  site: string | null
  value: string | null
  ucum: string
  age_ms: number
  at_ms: number
  pace: Pace
  quality: string[]
  device: string
  setting: boolean
}

export interface Limit {
  code: number
  side: 'low' | 'high'
  threshold: string
  ucum: string
  priority?: Priority
  extreme?: boolean
}

export interface Alarm {
  episode: number | string
  version: number
  rule: string
  kind: string
  priority: Priority
  condition: 'delaying' | 'active' | 'latched' | 'inactive'
  site: string | null
  inactivation: Inactivation
  code: number | null
  value: string | null
  limit: string | null
  ucum: string | null
  text: string
  onset_ms: number
  active_ms: number | null
  recorded: boolean
  // The version from which it asks for attention anew.
  attention?: number
  // What a combined alarm consists of.
  parts?: string[]
  // The agent had raised it before it could tell.
  late?: boolean
  responsibility?: Responsibility | null
  // A command on its way to the bed.
  requested?: Requested | null
}

export interface Inactivation {
  state: string
  by?: string
  until_us?: number
  at_us?: number
  until_ms?: number
  at_ms?: number
}

export interface Responsibility {
  state: 'none' | 'undefined' | 'accepted' | 'rejected'
  by?: string | null
  // How far it has been escalated, and whom that calls.
  tier?: number
  called?: { people: string[]; stations: boolean; unit: boolean }
}

export interface Requested {
  command?: string
  act: string
  by: string
  station?: string | null
  // `sent`, `done` before the bed's state shows it, and for a while `refused` or `expired`.
  state?: string
  words?: string
}

// The bed's audio is paused as a whole.
export interface Pause {
  until_ms: number
  by: string
  up_to: Priority
}

// The patient's alarms are held back for a procedure; extremes are not.
export interface Standby {
  until_ms: number
  by: string
  reason: string
}

// Who watches the bed from a station, as the hub has it proved.
export interface Watch {
  covered: boolean
  why: string
  stations: string[]
}

export interface Device {
  link: number
  name: string
  driver: string
  state: string
  detail: string
  manufacturer: string
  model: string
  serial: string
  heard_ms: number | null
  clock?: DeviceClock | null
}

// A device's own clock against its gateway's: so far ahead, its zone taken off.
export interface DeviceClock {
  state: 'steady' | 'stepped' | 'unset'
  offset_ms: number
  uncertainty_ms: number
}

export interface Gestation {
  weeks: number
  days: number
}

export interface Patient {
  name: string
  identifier: string
  birth_date: string
  gestational_age: Gestation | null
  day_of_life: number | null
  pma: Gestation | null
  weight_g: number | null
  // `room-air`, `supplemental` or `unknown`, which counts as oxygen.
  oxygen?: string
}

export interface Agent {
  id: string
  state: AgentState
  heard_ms: number | null
  simulated: boolean
  clock?: AgentClock | null
}

// A gateway's wall clock against the hub's; off: by more than what it dates can bear.
export interface AgentClock {
  offset_ms: number
  uncertainty_ms: number
  off: boolean
}

export interface BedView {
  bed: string
  state: 'occupied' | 'available'
  patient: Patient | null
  agent: Agent | null
  devices: Device[]
  values: Value[]
  limits: Limit[]
  limits_state: LimitsState
  limits_note?: { state: LimitsState; deviations: string[]; words: string; age_step: string | null } | null
  alarms: Alarm[]
  link_lost_ms: number | null
  // A hub that does not say leaves them out.
  watch?: Watch | null
  pause?: Pause | null
  standby?: Standby | null
  requested?: Requested[]
  stay?: string | null
  nurse?: { primary: string | null; buddy: string | null } | null
}

export interface UnitView {
  unit: { id: string; name: string }
  hub_at_ms: number
  store_ok: boolean
  beds: BedView[]
  // The unit's own: a station that does not display, a log that is full.
  alarms?: Alarm[]
}

export interface BedsFrame {
  hub_at_ms: number
  beds: BedView[]
}

export interface Session {
  // null: this screen is a station; nobody is signed in.
  user: { username: string; name: string; role: string } | null
  csrf: string
}

export interface Channel {
  id: number
  bed: string
  code: number
  label: string
  ucum: string
  period_us: number
  gain: number
  offset: number
  device: string
}

// What is known to be missing. `cause` is the wire's word, which may be one that this page has not met.
export interface Gap {
  from_ms: number
  to_ms: number
  cause: string
  lane: 'alarm' | 'numeric' | 'waveform'
  // The whole bed, when there is none.
  link: number | null
  device: string | null
  count: number | null
}

// Begin of the bucket, least, mean, greatest, readings, share of the bucket's seconds that have one.
export type Point = [at_ms: number, min: number, mean: number, max: number, count: number, coverage: number]

export interface Trend {
  code: number
  label: string
  name: string
  site: string | null
  device: string | null
  ucum: string
  points: Point[]
}

export interface BedTrends {
  bed: string
  from_ms: number
  to_ms: number
  resolution_s: number
  // The bed's last admission or discharge: nothing measured before it is shown.
  since_ms: number | null
  trends: Trend[]
  gaps: Gap[]
}

export interface BedGaps {
  bed: string
  from_ms: number
  to_ms: number
  gaps: Gap[]
}

export interface Coverage {
  received_s: number
  missing: Record<string, number>
  waiting_s: number
  unexplained_s: number
}

export interface LaneDay extends Coverage {
  lane: Gap['lane']
  link: number | null
  device: string | null
}

export interface BedCompleteness {
  bed: string
  days: { day: string; expected_s: number; lanes: LaneDay[] }[]
}

export interface BedDay extends Coverage {
  bed: string
  expected_s: number
}

export interface UnitCompleteness {
  day: string
  beds: BedDay[]
}

// How far what the hub wants has come at the bed.
export type LimitsState = 'none' | 'requested' | 'accepted' | 'in-force' | 'refused' | 'reset' | 'unconfirmed'

export interface LimitLine extends Limit {
  label: string
  priority: Priority
  delay_ms: number
  // With what the devices have averaged over already.
  total_delay_ms: number | null
  extreme: boolean
  changed: boolean
  // What the profile has in its place.
  usual: { threshold: string; delay_ms: number } | null
  source: string
}

export interface IssuedSet {
  version: number
  at_ms: number
  author: string
  reason: string
  profile: string
}

export interface BedLimits {
  state: LimitsState
  words: string
  version: number | null
  circumstances: { gestational_age: Gestation; pma: Gestation; pma_of_limits: Gestation; oxygen: string } | null
  profile: { name: string; title: string } | null
  requested: { version: number; author: string; at_ms: number; reason: string; limits: LimitLine[] } | null
  accepted: number | null
  in_force: { version: number; author: string; profile: string } | null
  deviations: string[]
  age_step: string | null
  history: IssuedSet[]
}

export interface LoggedAlarm {
  bed: string
  episode: string
  rule: string
  text: string
  kind: string
  priority: Priority
  onset_ms: number
  active_ms: number | null
  ended_ms: number | null
  ended: string | null
  late: boolean
  life: { at_ms: number; what: string; version: number | null; by: string | null; station: string | null; detail: string }[]
}

export interface AlarmLog {
  alarms: LoggedAlarm[]
  next: string | null
}
