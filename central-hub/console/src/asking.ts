// What a person is about to do; null: nothing.

import { signal } from '@preact/signals'

export type Act =
  | { of: 'acknowledge' | 'reset'; bed: string; episode: string; version: number }
  | { of: 'responsibility'; bed: string; episode: string; answer: 'accept' | 'reject' | 'withdraw' }
  | { of: 'pause' | 'end-pause' | 'standby' | 'end-standby'; bed: string }

export const asking = signal<Act | null>(null)
