// The keyboard: digits name a bed, arrows walk between tiles.

import { beds } from './feed'
import { grid } from './grid'
import { named } from './named'
import { focused, height, helping, width } from './view'

// How long a further digit may follow when the first could be a bed of its own.
const MORE_DIGITS_MS = 700

let typed = ''
let timer = 0

function digit(key: string): void {
  window.clearTimeout(timer)
  typed += key
  const { bed, sure } = named(typed, beds.value)
  const go = (): void => {
    typed = ''
    if (bed !== undefined) focused.value = bed
  }
  if (sure) go()
  else timer = window.setTimeout(go, MORE_DIGITS_MS)
}

function walk(key: string): void {
  const tiles = [...document.querySelectorAll<HTMLElement>('.unit > .tile')]
  const { columns } = grid(tiles.length, width.value, height.value)
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key] ?? 0
  const at = tiles.findIndex((tile) => tile === document.activeElement)
  tiles[at < 0 ? 0 : Math.max(0, Math.min(tiles.length - 1, at + step))]?.focus()
}

export function listen(): void {
  window.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target instanceof HTMLInputElement || helping.value) return
    if (/^\d$/.test(event.key)) digit(event.key)
    else if (event.key.startsWith('Arrow') && focused.value === null) walk(event.key)
    else if (event.key === 'Escape') focused.value = null
    else if (event.key === '?') helping.value = true
    else return
    event.preventDefault()
  })
}
