// One word to the hub that changes something, and its answer in words that a person can act on.

import { signal } from '@preact/signals'

export interface Answer<T> {
  ok: boolean
  status: number
  // The hub's own word for a refusal: `alarm-superseded`, `bad-credentials`; `no-answer` is ours.
  code: string
  words: string
  data: T | undefined
}

const GIVE_UP_MS = 10_000

// The session's token against forged writes; null: nobody is signed in.
export const csrf = signal<string | null>(null)

export async function send<T>(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { ...more }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (csrf.value !== null) headers['x-csrf-token'] = csrf.value
  try {
    const answer = await fetch(`/api/v1${path}`, {
      method,
      headers,
      cache: 'no-store',
      signal: AbortSignal.timeout(GIVE_UP_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const told = (await answer.json().catch(() => undefined)) as { data?: T; error?: { code?: string; message?: string; details?: { errors?: { field: string; problem: string }[] } } } | undefined
    const { code = '', message = '' } = told?.error ?? {}
    const errors = (told?.error?.details?.errors ?? []).map((wrong) => wrong.problem).join('; ')
    const words = answer.ok ? '' : [wordsOf(answer.status, code, message), errors].filter((w) => w !== '').join(' ')
    return { ok: answer.ok, status: answer.status, code, words, data: told?.data }
  } catch {
    return { ok: false, status: 0, code: 'no-answer', words: 'The hub does not answer. Nothing was changed as far as this screen knows.', data: undefined }
  }
}

const WORDS: Record<string, string> = {
  'alarm-superseded': 'The alarm has changed since. Look again: its newer state is shown.',
  'limits-superseded': 'Somebody else has changed these limits meanwhile. Look at them again.',
  'bad-credentials': 'Name or PIN is wrong.',
  'locked-out': 'Too many attempts. Wait a few minutes.',
  'login-required': 'Sign in first.',
}

function wordsOf(status: number, code: string, message: string): string {
  return WORDS[code] ?? (message !== '' ? message : status === 403 ? 'This person may not do that.' : `The hub refused (${status}).`)
}
