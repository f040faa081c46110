// What this screen is looking at: the unit, a bed, its trend, the record's completeness; an open help; the window's size.

import { computed, signal } from '@preact/signals'

export type Screen = { of: 'unit' } | { of: 'bed' | 'trend'; bed: string } | { of: 'completeness' }

export const screen = signal<Screen>({ of: 'unit' })
export const focused = computed(() => ('bed' in screen.value ? screen.value.bed : null))
export const helping = signal(false)
export const width = signal(window.innerWidth)
export const height = signal(window.innerHeight)

export const toUnit = (): void => void (screen.value = { of: 'unit' })
export const toBed = (bed: string): void => void (screen.value = { of: 'bed', bed })
export const toTrend = (bed: string): void => void (screen.value = { of: 'trend', bed })
export const toCompleteness = (): void => void (screen.value = { of: 'completeness' })

// One step outwards: from the trend to its bed, from everything else to the unit.
export function back(): void {
  if (screen.value.of === 'trend') toBed(screen.value.bed)
  else toUnit()
}

window.addEventListener('resize', () => {
  width.value = window.innerWidth
  height.value = window.innerHeight
})

// `?waves=3` sets the number of waves per tile; otherwise the tile's size does.
const asked = Number(new URLSearchParams(location.search).get('waves'))
export const lanesAsked = asked >= 1 && asked <= 5 ? Math.floor(asked) : undefined
