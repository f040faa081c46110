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
}

export interface Alarm {
  episode: number | string
  version: number
  rule: string
  kind: string
  priority: Priority
  condition: 'delaying' | 'active' | 'latched' | 'inactive'
  site: string | null
  inactivation: { state: string; until_us?: number }
  code: number | null
  value: string | null
  limit: string | null
  ucum: string | null
  text: string
  onset_ms: number
  active_ms: number | null
  recorded: boolean
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
}

export interface Agent {
  id: string
  state: AgentState
  heard_ms: number | null
  simulated: boolean
}

export interface BedView {
  bed: string
  state: 'occupied' | 'available'
  patient: Patient | null
  agent: Agent | null
  devices: Device[]
  values: Value[]
  limits: Limit[]
  limits_state: 'requested' | 'in-force' | 'none'
  alarms: Alarm[]
  link_lost_ms: number | null
}

export interface UnitView {
  unit: { id: string; name: string }
  hub_at_ms: number
  store_ok: boolean
  beds: BedView[]
}

export interface BedsFrame {
  hub_at_ms: number
  beds: BedView[]
}

export interface Session {
  user: { username: string; name: string; role: string }
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
