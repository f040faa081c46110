// What a station must sound, the highest enabled alarm of the beds that it covers, and which beds it may say it has shown.

import { mark, type ShownAlarm } from './alarms'
import type { Tone } from './tones'

export type Sounding = Tone | 'none'

const RANK: Record<Sounding, number> = { none: 0, low: 1, medium: 2, high: 3 }

export const higher = (a: Sounding, b: Sounding): Sounding => (RANK[b] > RANK[a] ? b : a)

// What flashes sounds; what is paused, acknowledged, latched at medium or advisory does not.
export function demandOf(alarm: Pick<ShownAlarm, 'manner' | 'priority'>): Sounding {
  return alarm.manner === 'flash' && alarm.priority !== 'advisory' ? alarm.priority : 'none'
}

export function demanded(alarms: ShownAlarm[]): Sounding {
  return alarms.reduce<Sounding>((most, alarm) => higher(most, demandOf(alarm)), 'none')
}

// A covered bed that the page knows nothing of is a bed without data.
export function demandedOf(covered: string[], alarmsAt: (bed: string) => ShownAlarm[] | undefined): Sounding {
  return covered.reduce<Sounding>((most, bed) => {
    const alarms = alarmsAt(bed)
    return higher(most, alarms === undefined ? 'medium' : demanded(alarms))
  }, 'none')
}

// Beds whose loudest alarms stand on the page. `onPage` says whether a mark is to be found there.
export function paintedBeats(beats: Record<string, number>, alarmsAt: (bed: string) => ShownAlarm[] | undefined, onPage: (mark: string) => boolean): Record<string, number> {
  return Object.fromEntries(
    Object.entries(beats).filter(([bed]) => {
      const alarms = alarmsAt(bed)
      const lead = alarms?.[0]
      return alarms !== undefined && (lead === undefined || onPage(mark(lead)))
    }),
  )
}
