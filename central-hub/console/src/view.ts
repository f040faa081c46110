// What this screen is looking at: the unit, a bed, its trend, limits, admission, the alarms there were, the record's completeness; an open help; the window's size.

import { computed, signal } from '@preact/signals'

export type Screen = { of: 'unit' } | { of: 'bed' | 'trend' | 'limits' | 'admission'; bed: string } | { of: 'completeness' } | { of: 'review'; only: string }

export const screen = signal<Screen>({ of: 'unit' })
export const focused = computed(() => ('bed' in screen.value ? screen.value.bed : null))
export const helping = signal(false)
export const width = signal(window.innerWidth)
export const height = signal(window.innerHeight)

export const toUnit = (): void => void (screen.value = { of: 'unit' })
export const toBed = (bed: string): void => void (screen.value = { of: 'bed', bed })
export const toTrend = (bed: string): void => void (screen.value = { of: 'trend', bed })
export const toCompleteness = (): void => void (screen.value = { of: 'completeness' })

export const toLimits = (bed: string): void => void (screen.value = { of: 'limits', bed })
export const toAdmission = (bed: string): void => void (screen.value = { of: 'admission', bed })
// The alarms of the unit, or of one bed.
export const toReview = (only = ''): void => void (screen.value = { of: 'review', only })

// One step outwards: from a bed's pages to the bed, from everything else to the unit.
export function back(): void {
  const on = screen.value
  if ('bed' in on && on.of !== 'bed') toBed(on.bed)
  else if (on.of === 'review' && on.only !== '') toBed(on.only)
  else toUnit()
}

window.addEventListener('resize', () => {
  width.value = window.innerWidth
  height.value = window.innerHeight
})

// `?waves=3` sets the number of waves per tile; otherwise the tile's size does.
const asked = Number(new URLSearchParams(location.search).get('waves'))
export const lanesAsked = asked >= 1 && asked <= 5 ? Math.floor(asked) : undefined
