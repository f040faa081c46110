// Who is looking. Nothing of any patient is on this page.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { logIn, signedOutBy } from './feed'
import { clock } from './format'
import { now, wall } from './pulse'
import { pairingOpen, standing } from './station'

export function Login(): VNode {
  const trouble = useSignal<string | null>(null)
  const busy = useSignal(false)
  const name = useRef<HTMLInputElement>(null)
  const password = useRef<HTMLInputElement>(null)
  useEffect(() => name.current?.focus(), [])

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (busy.value) return
    busy.value = true
    trouble.value = await logIn(name.current?.value ?? '', password.current?.value ?? '')
    busy.value = false
    if (trouble.value !== null && password.current !== null) {
      password.current.value = ''
      password.current.focus()
    }
  }

  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <h1>Cotside</h1>
        <p class="where">{location.host}</p>
        {signedOutBy.value === 'hub' && (
          <p class="ended" role="alert">
            The session has ended. <b>No bed is being shown.</b>
          </p>
        )}
        {standing.value.is === 'refused' && (
          <p class="ended" role="alert">
            <b>This screen is not a station now.</b> {standing.value.why}
          </p>
        )}
        <label>
          User name
          <input ref={name} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          Password
          <input ref={password} name="password" type="password" autocomplete="current-password" required />
        </label>
        <p class="trouble" role="alert">
          {trouble.value ?? ''}
        </p>
        <button type="submit" disabled={busy.value}>
          {busy.value ? 'Signing in' : 'Sign in'}
        </button>
        <p class="limits">
          Signed in here, this is a remote view: it makes no sound and is not for alarm surveillance. Only a paired station is.
        </p>
        <button type="button" class="quiet" onClick={() => (pairingOpen.value = true)}>
          Make this screen a station
        </button>
      </form>
      <p class="time">{clock(wall(now.value), true)}</p>
    </main>
  )
}
