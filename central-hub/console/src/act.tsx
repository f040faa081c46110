// A person answers an alarm or holds a bed's sound: what exactly, who, and what became of it. Nothing counts before the bed confirms it.

import { useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { ShownAlarm } from './alarms'
import { asterisks, duration, label } from './format'
import { send, type Answer } from './hub'
import { asking, type Act } from './asking'
import { alarmsAt, isStation } from './monitor'
import { now } from './pulse'
import { bedState } from './feed'

const PAUSES_S = [60, 120]
const STANDBYS_MIN = [15, 30, 60]

export const isAnswerable = (alarm: ShownAlarm): boolean => alarm.episode !== null && (alarm.manner === 'flash' || alarm.latched)

// The alarm that a key means: the loudest of the bed that a person can still answer.
export function answerable(bed: string): ShownAlarm | undefined {
  return alarmsAt(bed)?.find(isAnswerable)
}

export function ask(act: Act): void {
  asking.value = act
}

export function askAbout(alarm: ShownAlarm): void {
  if (alarm.episode === null) return
  asking.value = { of: alarm.latched ? 'reset' : 'acknowledge', bed: alarm.bed, episode: alarm.episode, version: alarm.version }
}

export function drawn(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

// Who acts at a station, for this one request.
export function acting(username: string, secret: string): Record<string, string> {
  const who = /^\d+$/.test(secret) ? { username, pin: secret } : { username, password: secret }
  return { 'x-acting': btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(who)))) }
}

interface Given {
  seconds: number
  minutes: number
  reason: string
  headers: Record<string, string>
}

async function put(act: Act, given: Given): Promise<Answer<unknown>> {
  const { headers } = given
  const bed = encodeURIComponent(act.bed)
  if (act.of === 'acknowledge' || act.of === 'reset') {
    const what = act.of === 'acknowledge' ? 'acknowledgement' : 'reset'
    return send('POST', `/alarms/${bed}/${encodeURIComponent(act.episode)}/${what}`, { version: act.version }, headers)
  }
  if (act.of === 'responsibility') return send('POST', `/alarms/${bed}/${encodeURIComponent(act.episode)}/responsibility`, { answer: act.answer }, headers)
  const route = `/beds/${bed}/${act.of.endsWith('pause') ? 'audio-pause' : 'standby'}`
  if (act.of.startsWith('end-')) return send('DELETE', route, undefined, headers)
  return send('POST', route, act.of === 'pause' ? { seconds: given.seconds } : { minutes: given.minutes, reason: given.reason }, headers)
}

export function ActSheet(): VNode | null {
  const act = asking.value
  return act === null ? null : <Sheet key={JSON.stringify({ ...act, version: 0 })} act={act} />
}

const TITLES: Record<Act['of'], string> = {
  acknowledge: 'Acknowledge',
  reset: 'Reset what is latched',
  responsibility: 'Answer for this alarm',
  pause: 'Pause the sound',
  'end-pause': 'End the pause',
  standby: 'Standby for a procedure',
  'end-standby': 'End standby',
}

function Sheet({ act }: { act: Act }): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  const trouble = useSignal('')
  const busy = useSignal(false)
  const seconds = useSignal(PAUSES_S[1] ?? 120)
  const minutes = useSignal(STANDBYS_MIN[1] ?? 30)
  const reason = useSignal('')
  // One intent, one command, however often it is sent.
  const key = useRef(drawn())
  useEffect(() => dialog.current?.showModal(), [])
  const alarm = 'episode' in act ? alarmsAt(act.bed)?.find((a) => a.episode === act.episode) : undefined
  const gone = 'episode' in act && alarm === undefined
  const changed = 'version' in act && alarm !== undefined && alarm.attention > act.version
  const close = (): void => void (asking.value = null)

  const submit = async (headers: Record<string, string>): Promise<void> => {
    if (busy.value) return
    busy.value = true
    const answer = await put(act, { seconds: seconds.value, minutes: minutes.value, reason: reason.value.trim(), headers: { ...headers, 'idempotency-key': key.current } })
    busy.value = false
    if (answer.ok) return close()
    trouble.value = answer.words
    // A refusal is final for that command; what a person sends next is another.
    if (answer.status !== 0) key.current = drawn()
  }

  return (
    <dialog ref={dialog} class="sheet" onClose={close} aria-label={TITLES[act.of]}>
      <h2>
        {act.of === 'responsibility' ? { accept: 'Take this alarm', reject: 'Pass this alarm on', withdraw: 'Give this alarm back' }[act.answer] : TITLES[act.of]}
        <span class="bed">{act.bed}</span>
        <span class="who">{bedState(act.bed).value?.view.patient?.name ?? ''}</span>
      </h2>
      {alarm !== undefined && <About alarm={alarm} />}
      {gone && <p class="trouble">This alarm has ended.</p>}
      {changed && (
        <p class="trouble">
          It asked for attention anew while this was open.{' '}
          <button type="button" class="act" onClick={() => (asking.value = { ...act, version: alarm.version })}>
            I see the newer state
          </button>
        </p>
      )}
      <Person trouble={trouble.value} busy={busy.value} disabled={gone || changed || (act.of === 'standby' && reason.value.trim() === '')} verb={TITLES[act.of]} submit={submit} close={close} first={act.of === 'standby'}>
        {act.of === 'pause' && <Choice of={PAUSES_S} chosen={seconds} words={(s) => duration(s * 1000)} name="for" />}
        {act.of === 'standby' && (
          <>
            <Choice of={STANDBYS_MIN} chosen={minutes} words={(m) => `${m} min`} name="for" />
            <label>
              Procedure
              <input value={reason.value} maxLength={64} onInput={(event) => (reason.value = event.currentTarget.value)} required />
            </label>
            <p class="small">The patient’s alarms are held back, extremes are not. It ends by itself.</p>
          </>
        )}
        {act.of === 'reset' && <p class="small">The condition is over. This ends the alarm.</p>}
        {act.of === 'responsibility' && <p class="small">This silences nothing.</p>}
      </Person>
    </dialog>
  )
}

function About({ alarm }: { alarm: ShownAlarm }): VNode {
  return (
    <p class={`about ${alarm.priority}`}>
      <b>
        {asterisks(alarm.priority)} {label(alarm.text)}
      </b>{' '}
      {duration(alarm.sinceMs + now.value - (bedState(alarm.bed).value?.receivedAt ?? now.value))}
      {alarm.parts.length > 0 && <span class="small"> {alarm.parts.map(label).join(' · ')}</span>}
    </p>
  )
}

function Choice(props: { of: number[]; chosen: { value: number }; words: (n: number) => string; name: string }): VNode {
  return (
    <div class="choices" role="radiogroup" aria-label={props.name}>
      {props.of.map((n) => (
        <button key={n} type="button" role="radio" aria-checked={props.chosen.value === n} class={`act ${props.chosen.value === n ? 'chosen' : ''}`} onClick={() => (props.chosen.value = n)}>
          {props.words(n)}
        </button>
      ))}
    </div>
  )
}

let lastName = ''

// At a station nobody is signed in: every act asks who. Elsewhere it is the person of the session.
export function Person(props: {
  trouble: string
  busy: boolean
  disabled: boolean
  verb: string
  submit: (headers: Record<string, string>) => Promise<void>
  close: () => void
  // Something else is typed first.
  first?: boolean
  children?: ComponentChildren
}): VNode {
  const name = useRef<HTMLInputElement>(null)
  const secret = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (props.first !== true) (lastName === '' ? name : secret).current?.focus()
  }, [])
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (props.disabled) return
    if (!isStation.value) return props.submit({})
    lastName = name.current?.value.trim() ?? ''
    const headers = acting(lastName, secret.current?.value ?? '')
    if (secret.current !== null) secret.current.value = ''
    await props.submit(headers)
    secret.current?.focus()
  }
  return (
    <form class="body" onSubmit={(event) => void submit(event)}>
      {props.children}
      {isStation.value && (
        <div class="two">
          <label>
            Who
            <input ref={name} autocomplete="off" autocapitalize="none" spellcheck={false} defaultValue={lastName} required />
          </label>
          <label>
            PIN or password
            <input ref={secret} type="password" autocomplete="off" required />
          </label>
        </div>
      )}
      <p class="trouble" role="alert">
        {props.trouble}
      </p>
      <div class="choices">
        <button type="submit" class="great" disabled={props.disabled || props.busy}>
          {props.busy ? 'asking the hub' : props.verb}
        </button>
        <button type="button" class="act" onClick={props.close}>
          Cancel
        </button>
      </div>
    </form>
  )
}
