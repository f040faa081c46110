// Which of a bed's values stand in the tile's fixed places, by 11073 code; everything else is "further".

import { judge, type Judged } from './age'
import type { BedView, Limit, Value } from './api'

export type Place = 'hr' | 'spo2' | 'rr' | 'temp'

// In order of preference. A pulse rate stands in for a heart rate only under its own label.
export const PLACES: Record<Place, number[]> = {
  hr: [147842, 149530, 149538, 149522, 149514],
  spo2: [150456, 160296, 160300],
  rr: [151578, 151562, 151594, 151586],
  temp: [150368, 188420, 150372, 188496, 150388, 150344],
}

interface Triad {
  label: string
  systolic: number
  diastolic: number
  mean: number
}

export const PRESSURES: Triad[] = [
  { label: 'ART', systolic: 150033, diastolic: 150034, mean: 150035 },
  { label: 'ABP', systolic: 150037, diastolic: 150038, mean: 150039 },
  { label: 'UAC', systolic: 150057, diastolic: 150058, mean: 150059 },
  { label: 'NIBP', systolic: 150021, diastolic: 150022, mean: 150023 },
]

const EMPTY_LABEL: Record<Place, string> = { hr: 'HR', spo2: 'SpO2', rr: 'RR', temp: 'T' }
const TILE_LABEL: Record<number, string> = {
  150368: 'T core',
  188420: 'T rect',
  150372: 'T esoph',
  188496: 'T axil',
  150388: 'T skin',
  150344: 'T',
}

// What a tile with little room prints first of the rest: FiO2, PI, second pulse and saturation, CO2, pressures of the ventilator.
const FURTHER = [
  151920, 150488, 149530, 149538, 149522, 160296, 160300, 150456, 151728, 151756, 151760, 151976, 151957, 151819, 151868,
]

function rank({ value }: Reading): number {
  const at = FURTHER.indexOf(value.code)
  return (at < 0 ? FURTHER.length : at) + (value.setting ? 1_000 : 0)
}

export interface Reading {
  value: Value
  judged: Judged
}

export interface Pressure {
  label: string
  codes: number[]
  systolic: Reading | undefined
  diastolic: Reading | undefined
  mean: Reading | undefined
}

export interface Picked {
  places: Record<Place, Reading | undefined>
  pressure: Pressure | undefined
  // Pressures that did not get the place, whole.
  pressures: Pressure[]
  further: Reading[]
}

export function pick(bed: BedView, sinceFrameMs: number, hubLost: boolean): Picked {
  const readings = bed.values.map((value) => ({ value, judged: judge(value, sinceFrameMs, hubLost) }))
  const places = {
    hr: best(readings, PLACES.hr),
    spo2: best(readings, PLACES.spo2),
    rr: best(readings, PLACES.rr),
    temp: best(readings, PLACES.temp),
  }
  const all = pressuresOf(readings)
  const pressure = all.find((p) => usable(p.systolic) || usable(p.mean)) ?? all[0]
  const inPressures = all.flatMap((p) => [p.systolic, p.diastolic, p.mean])
  const taken = new Set<Reading | undefined>([...Object.values(places), ...inPressures])
  const further = readings.filter((reading) => !taken.has(reading)).sort((a, b) => rank(a) - rank(b))
  return { places, pressure, pressures: all.filter((p) => p !== pressure), further }
}

// The most preferred value that is still there; if none is, the most preferred one, shown as gone.
function best(readings: Reading[], codes: number[]): Reading | undefined {
  const ranked = codes.flatMap((code) => readings.filter((r) => r.value.code === code && !r.value.setting))
  return ranked.find((r) => usable(r)) ?? ranked[0]
}

function usable(reading: Reading | undefined): boolean {
  return reading !== undefined && reading.value.value !== null && reading.judged.freshness !== 'gone'
}

function pressuresOf(readings: Reading[]): Pressure[] {
  const find = (code: number) => readings.find((r) => r.value.code === code && !r.value.setting)
  return PRESSURES.map((triad) => ({
    label: triad.label,
    codes: [triad.systolic, triad.diastolic, triad.mean],
    systolic: find(triad.systolic),
    diastolic: find(triad.diastolic),
    mean: find(triad.mean),
  })).filter((p) => p.systolic !== undefined || p.mean !== undefined)
}

export function placeLabel(place: Place, reading: Reading | undefined): string {
  if (reading === undefined) return EMPTY_LABEL[place]
  return TILE_LABEL[reading.value.code] ?? reading.value.label
}

// Where one parameter has several limits, the one that is met first.
export function limitsOf(limits: Limit[], code: number | undefined): { low?: string; high?: string } {
  const found: { low?: string; high?: string } = {}
  for (const { side, threshold } of limits.filter((limit) => limit.code === code)) {
    const before = found[side]
    const nearer = before === undefined || (side === 'low' ? Number(threshold) > Number(before) : Number(threshold) < Number(before))
    if (nearer) found[side] = threshold
  }
  return found
}
