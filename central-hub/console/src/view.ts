// What this screen is looking at: the focused bed, an open help, the window's size.

import { signal } from '@preact/signals'

export const focused = signal<string | null>(null)
export const helping = signal(false)
export const width = signal(window.innerWidth)
export const height = signal(window.innerHeight)

window.addEventListener('resize', () => {
  width.value = window.innerWidth
  height.value = window.innerHeight
})

// `?waves=3` sets the number of waves per tile; otherwise the tile's size does.
const asked = Number(new URLSearchParams(location.search).get('waves'))
export const lanesAsked = asked >= 1 && asked <= 5 ? Math.floor(asked) : undefined
