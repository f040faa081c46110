// Numbers, units and times as people read them.

import type { DeviceClock, Gestation, Priority } from './api'

const two = (n: number): string => String(n).padStart(2, '0')

// 0:19, 12:05, 1:02:03
export function duration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000))
  const hours = Math.floor(total / 3600)
  const minutes = Math.floor(total / 60) % 60
  const seconds = two(total % 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${seconds}` : `${minutes}:${seconds}`
}

// 00:00:42, for the counters that say how long nothing was heard.
export function counter(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000))
  return `${two(Math.floor(total / 3600))}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}

// 3 s, 4 min, 2 h: rounded down, so that an age is never called younger than its unit allows.
export function age(ms: number): string {
  if (!Number.isFinite(ms)) return '?'
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h`
}

// 42 s, 27 min, 3 h 05 min, 2 d 4 h: how long something lasted, to about a hundredth.
export function lasting(ms: number): string {
  if (!Number.isFinite(ms)) return '?'
  if (ms > 0 && ms < 1000) return '< 1 s'
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`
  const hours = Math.round(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const CLOCK_NOTE_MS = 60_000

// "clock 6 min fast"; null: right, or nearly.
export function clockError(clock: DeviceClock): string | null {
  if (clock.state === 'unset') return 'clock not set'
  if (Math.abs(clock.offset_ms) <= CLOCK_NOTE_MS) return null
  return `clock ${age(Math.abs(clock.offset_ms))} ${clock.offset_ms > 0 ? 'fast' : 'slow'}`
}

export function hubClockError(offsetMs: number): string {
  return `clock ${age(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} the hub`
}

export function clock(wallMs: number, seconds = false): string {
  const at = new Date(wallMs)
  if (Number.isNaN(at.getTime())) return '--:--'
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`
  return seconds ? `${minutes}:${two(at.getSeconds())}` : minutes
}

const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' })

export function day(wallMs: number): string {
  return DAY.format(wallMs)
}

export function gestation(age: Gestation | null): string {
  return age === null ? '' : `${age.weeks}+${age.days}`
}

export function grams(weight: number | null): string {
  return weight === null ? '' : `${Math.round(weight)} g`
}

const UNITS: Record<string, string> = {
  '{beats}/min': '/min',
  '{breaths}/min': '/min',
  'mm[Hg]': 'mmHg',
  'cm[H2O]': 'cmH₂O',
  'cm[H2O].s/L': 'cmH₂O·s/L',
  'mL/cm[H2O]': 'mL/cmH₂O',
  Cel: '°C',
  '[degF]': '°F',
  '[pH]': '',
  '[ppm]': 'ppm',
  '{ratio}': '',
  Ohm: 'Ω',
  ug: 'µg',
  'ug/kg/min': 'µg/kg/min',
  '1': '',
}

export function ucumText(ucum: string | null): string {
  if (ucum === null) return ''
  return UNITS[ucum] ?? ucum
}

// Chemical indices as they are printed on every monitor.
export function label(text: string): string {
  return text.replace(/O2/g, 'O₂')
}

const MARKS: Record<Priority, string> = { high: '***', medium: '**', low: '*', advisory: '' }

export function asterisks(priority: Priority): string {
  return MARKS[priority]
}

const SITES: Record<string, string> = { preductal: 'pre', postductal: 'post' }

export function site(site: string | null): string {
  return site === null ? '' : (SITES[site] ?? site)
}

export function thousandths(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}
