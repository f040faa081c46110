// The station's proof, once a second: this was painted, this is sounding. It says only what it finds on the page and in the speaker.

import { signal } from '@preact/signals'
import { audio, selfTest, sounding, type AudioState, type SelfTest } from './speaker'
import { send } from './hub'
import type { Sounding } from './sounding'

export interface Receipt {
  nonce: string
  beats: Record<string, number>
  audio: Exclude<AudioState, 'off'>
  sounding: Sounding
  visible: boolean
  self_test: SelfTest
}

export interface Tick {
  hub_at_ms: number
  store_ok?: boolean
  // What a receipt must echo, and the newest beat of each bed whose state went out before this tick.
  nonce?: string
  beats?: Record<string, number>
}

// Marks of tiles and strip that are really laid out: nothing hidden or without size counts.
export function marksOnPage(): Set<string> {
  const marks = new Set<string>()
  for (const element of document.querySelectorAll<HTMLElement>('[data-shows]')) {
    const { width, height } = element.getBoundingClientRect()
    if (width > 0 && height > 0 && element.dataset['shows'] !== undefined) marks.add(element.dataset['shows'])
  }
  return marks
}

// Two frames on: the first may have begun before the state was applied, the second shows it.
export function whenPainted(then: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(then))
}

export function composed(nonce: string, beats: Record<string, number>, visible: boolean): Receipt {
  return {
    nonce,
    beats,
    audio: audio.value === 'off' ? 'suspended' : audio.value,
    sounding: audio.value === 'running' ? sounding.value : 'none',
    visible,
    self_test: selfTest.value,
  }
}

// The hub's answer: whether this screen counts for its beds, and why not.
export const counted = signal<{ counts: boolean; why: string } | null>(null)

let underWay = false

// One at a time: a hub that is slow gets the newest when it has answered, not a queue.
export async function post(receipt: Receipt): Promise<void> {
  if (underWay) return
  underWay = true
  const answer = await send<{ counts: boolean; why: string }>('POST', '/stations/self/receipts', receipt)
  counted.value = answer.data ?? { counts: false, why: answer.words }
  underWay = false
}
