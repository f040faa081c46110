// Whether this screen is a station: paired, let in by its key, or asking for it.

import { signal } from '@preact/signals'
import { csrf, send } from './hub'
import { canBeStation, draw, forget, keep, load, publicKey, sign, type Identity } from './identity'

export interface Station {
  id: string
  name: string
  beds: string[]
}

// none: a remote view. pairing: a code waits for an operator's approval.
export type Standing =
  | { is: 'none' }
  | { is: 'pairing'; code: string; trouble: string }
  | { is: 'refused'; why: string }
  | { is: 'station'; station: Station }

export const standing = signal<Standing>({ is: 'none' })
export const pairingOpen = signal(new URLSearchParams(location.search).has('pair'))

const ASK_AGAIN_MS = 2_000

let identity: Identity | undefined
let timer = 0

export const covered = (): string[] => (standing.value.is === 'station' ? standing.value.station.beds : [])

// True: this browser holds a paired key and the hub let it in. A hub that does not answer is asked again by the caller.
export async function enter(): Promise<'in' | 'not-paired' | 'no-answer'> {
  if (!canBeStation()) return 'not-paired'
  identity ??= await load().catch(() => undefined)
  if (identity?.id === undefined || identity.id === null) return 'not-paired'
  const asked = await send<{ challenge: string }>('POST', '/stations/self/challenge', { station: identity.id })
  if (asked.data === undefined) return refusedBy(asked.status, asked.words)
  const signature = await sign(identity, `cotside station session\n${identity.id}\n${asked.data.challenge}`)
  const answer = await send<{ station: Station; csrf: string }>('POST', '/stations/self/session', { station: identity.id, challenge: asked.data.challenge, signature })
  if (answer.data === undefined) return refusedBy(answer.status, answer.words)
  csrf.value = answer.data.csrf
  standing.value = { is: 'station', station: answer.data.station }
  return 'in'
}

function refusedBy(status: number, words: string): 'not-paired' | 'no-answer' {
  if (status === 0 || status >= 500) return 'no-answer'
  standing.value = { is: 'refused', why: words }
  return 'not-paired'
}

// Draws a key, asks for a code and waits until an operator has approved it. `entered` is called once the hub lets the station in.
export async function pair(entered: () => void): Promise<void> {
  window.clearTimeout(timer)
  if (!canBeStation()) {
    standing.value = { is: 'refused', why: 'This browser keeps no keys here: open the hub by https.' }
    return
  }
  try {
    identity = await draw()
    const asked = await send<{ station: string; code: string }>('POST', '/stations/pairing', { public_key: await publicKey(identity), label: labelOf() })
    if (asked.data === undefined) {
      standing.value = { is: 'refused', why: asked.words }
      return
    }
    identity = { ...identity, id: asked.data.station }
    await keep(identity)
    standing.value = { is: 'pairing', code: asked.data.code, trouble: '' }
    wait(asked.data.code, entered)
  } catch {
    standing.value = { is: 'refused', why: 'This browser could not keep a key.' }
  }
}

// What an operator may tell this screen by, besides the code.
const labelOf = (): string => `${screen.width} x ${screen.height}, ${navigator.platform}`.slice(0, 64)

function wait(code: string, entered: () => void): void {
  timer = window.setTimeout(async () => {
    if (standing.value.is !== 'pairing') return
    const asked = await send<{ state: string }>('GET', `/stations/pairing/${encodeURIComponent(identity?.id ?? '')}`)
    if (standing.peek().is !== 'pairing') return
    if (asked.status === 404) {
      standing.value = { is: 'refused', why: 'The code is too old, or was turned down.' }
      return
    }
    if (asked.data?.state === 'approved' && (await enter()) === 'in') {
      return entered()
    }
    standing.value = { is: 'pairing', code, trouble: asked.ok ? '' : 'The hub does not answer.' }
    wait(code, entered)
  }, ASK_AGAIN_MS)
}

export async function stopPairing(): Promise<void> {
  window.clearTimeout(timer)
  if (standing.value.is === 'pairing') await forget().catch(() => undefined)
  if (standing.value.is !== 'station') standing.value = { is: 'none' }
  pairingOpen.value = false
}
