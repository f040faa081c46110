// A question that is asked again and again: the last answer, when it was given, and why there is no newer one.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

export interface Told<T> {
  data: T
  // The hub's clock when it answered.
  hubAtMs: number
}

export interface Standing<T> {
  told: Told<T> | undefined
  // performance.now() when `told` came.
  receivedAt: number
  // In words, as soon as one try has failed; the next success clears it.
  trouble: string | null
}

const GIVE_UP_MS = 20_000
const AGAIN_AFTER_TROUBLE_MS = 5_000

export async function ask<T>(path: string, until: AbortSignal): Promise<Told<T>> {
  const signal = AbortSignal.any([until, AbortSignal.timeout(GIVE_UP_MS)])
  const answer = await fetch(path, { cache: 'no-store', signal }).catch(() => undefined)
  if (answer === undefined) throw new Trouble('the hub does not answer')
  if (!answer.ok) throw new Trouble(refusal(answer.status))
  const body = (await answer.json().catch(() => undefined)) as { data: T; meta: { at: string } } | undefined
  if (body === undefined) throw new Trouble('the hub’s answer was cut short')
  return { data: body.data, hubAtMs: Date.parse(body.meta.at) }
}

class Trouble extends Error {}

function refusal(status: number): string {
  if (status === 401) return 'signed out by the hub'
  if (status === 403) return 'this account may not see it'
  if (status === 404) return 'the hub has no such record'
  return `the hub could not read its record (${status})`
}

// Asks at once, then every so often. Other `words` are asked at once too; the old answer stays on the screen until theirs is
// there, so whoever asks about another bed is another component.
export function useQuestion<T>(words: string, everyMs: number, put: (until: AbortSignal) => Promise<Told<T>>): Standing<T> {
  const standing = useSignal<Standing<T>>({ told: undefined, receivedAt: -Infinity, trouble: null })
  useEffect(() => {
    const over = new AbortController()
    let timer = 0
    const again = async (): Promise<void> => {
      let next = everyMs
      try {
        const told = await put(over.signal)
        if (over.signal.aborted) return
        standing.value = { told, receivedAt: performance.now(), trouble: null }
      } catch (error) {
        if (over.signal.aborted) return
        const trouble = error instanceof Trouble ? error.message : 'the page could not read the answer'
        standing.value = { ...standing.peek(), trouble }
        next = AGAIN_AFTER_TROUBLE_MS
      }
      timer = window.setTimeout(() => void again(), next)
    }
    void again()
    return () => {
      over.abort()
      window.clearTimeout(timer)
    }
  }, [words])
  return standing.value
}

// Whether what stands on the screen must look old: the last try failed, the tries stopped, or the hub is not heard at all.
export function isOld(standing: Standing<unknown>, everyMs: number, now: number, hubLost: boolean): boolean {
  return hubLost || standing.trouble !== null || now - standing.receivedAt > everyMs + GIVE_UP_MS
}
