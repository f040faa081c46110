// What a person has set the trend to: hours, their end, the cursor, the lanes. It stays while one goes from bed to bed.

import { computed, signal } from '@preact/signals'
import { stepped } from './stretch'

export const SPANS_H = [1, 4, 12, 24] as const
export type SpanH = (typeof SPANS_H)[number]

export const hours = signal<SpanH>(12)
// The end of what is shown; null: now.
export const until = signal<number | null>(null)
// A time under the cursor; null: no cursor.
export const cursor = signal<number | null>(null)
// Lanes that a person has turned on or off, by their key.
export const turned = signal<ReadonlySet<string>>(new Set())

// Buckets that are at least a pixel or two wide.
export const resolutionS = computed(() => (hours.value === 24 ? 300 : 60))

export function turn(key: string): void {
  const next = new Set(turned.value)
  if (!next.delete(key)) next.add(key)
  turned.value = next
}

// +1: more hours; -1: fewer.
export function zoom(wider: 1 | -1): void {
  const next = SPANS_H[SPANS_H.indexOf(hours.value) + wider]
  if (next !== undefined) hours.value = next
}

export function step(direction: 1 | -1, nowMs: number): void {
  until.value = stepped(until.value, direction, hours.value, nowMs)
}

export function toNow(): void {
  until.value = null
}

// A whole day, as the completeness view calls it.
export function toDay(end: number, nowMs: number): void {
  hours.value = 24
  until.value = end < nowMs ? end : null
  cursor.value = null
}
