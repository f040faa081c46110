// The keyboard: digits name a bed, arrows walk between tiles; a view may have keys of its own, which go first.

import { useEffect, useRef } from 'preact/hooks'
import { answerable, ask, askAbout } from './act'
import { asking } from './asking'
import { beds, session } from './feed'
import { grid } from './grid'
import { named } from './named'
import { back, height, helping, screen, toAdmission, toBed, toCompleteness, toLimits, toReview, toTrend, width } from './view'

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
    if (bed === undefined) return
    if (screen.value.of === 'trend') toTrend(bed)
    else toBed(bed)
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

// The bed that is meant by pressing T: the one shown, or the tile that the arrows have reached.
function meant(): string | undefined {
  if ('bed' in screen.value) return screen.value.bed
  return document.activeElement instanceof HTMLElement ? document.activeElement.dataset['bed'] : undefined
}

// Acknowledging and pausing mean the bed that is shown or walked to; with none, the bed of the first alarm on top.
function meantOrLoudest(): string | undefined {
  return meant() ?? document.querySelector<HTMLElement>('.chip.lead')?.dataset['shows']?.split('/')[0]
}

function acknowledge(): void {
  const bed = meantOrLoudest()
  const alarm = bed === undefined ? undefined : answerable(bed)
  if (alarm !== undefined) askAbout(alarm)
}

function pause(): void {
  const bed = meantOrLoudest()
  if (bed !== undefined && bed !== '') ask({ of: 'pause', bed })
}

type Own = (event: KeyboardEvent) => boolean
let own: Own | undefined

// The keys of a view while it is on the screen. True: the key was its.
export function useKeys(take: Own): void {
  const latest = useRef(take)
  latest.current = take
  useEffect(() => {
    const mine: Own = (event) => latest.current(event)
    own = mine
    return () => {
      if (own === mine) own = undefined
    }
  }, [])
}

function take(event: KeyboardEvent): boolean {
  if (own?.(event) === true) return true
  const bed = meant()
  if (/^\d$/.test(event.key)) digit(event.key)
  else if (event.key.startsWith('Arrow') && screen.value.of === 'unit') walk(event.key)
  else if (event.key === 'Escape') back()
  else if (event.key.toLowerCase() === 't' && bed !== undefined) toTrend(bed)
  else if (event.key.toLowerCase() === 'a') acknowledge()
  else if (event.key.toLowerCase() === 'p') pause()
  else if (event.key.toLowerCase() === 'l' && bed !== undefined) toLimits(bed)
  else if (event.key.toLowerCase() === 'm' && bed !== undefined) toAdmission(bed)
  else if (event.key.toLowerCase() === 'h') toReview(bed ?? '')
  else if (event.key.toLowerCase() === 'c') toCompleteness()
  else if (event.key === '?') helping.value = true
  else return false
  return true
}

const typing = (target: EventTarget | null): boolean => target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement

export function listen(): void {
  window.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || (typing(event.target) && event.key !== 'Escape')) return
    if (!helping.value && asking.value === null && session.value != null && take(event)) event.preventDefault()
  })
}
