// The page of one bed, served by its own agent: the station's tile and sounds, every alarm in words, one button. Works without the hub.

import { computed, effect, signal } from '@preact/signals'
import { render, type VNode } from 'preact'
import { hubLink } from './age'
import { alarmsOf, remarks } from './alarms'
import type { BedView } from './api'
import { bedState, connected, heardAt } from './feed'
import { asterisks, clock, duration, label } from './format'
import { now, setWall, start as startClock, wall } from './pulse'
import { demanded, type Sounding } from './sounding'
import { armDeadMan, audio, sound, start as startSound, supervise } from './speaker'
import { Tile } from './tile'

interface Frame {
  at_ms: number
  can_pause: boolean
  watch: { covered: boolean | null; why: string }
  bed: BedView
}

const LOOK_MS = 250
const DIGITS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0']

const frame = signal<Frame | null>(null)
const lost = computed(() => hubLink(now.value - heardAt.value, connected.value) === 'lost')
const alarms = computed(() => {
  const told = frame.value
  return told === null ? [] : alarmsOf(told.bed, told.at_ms)
})
// A bed that cannot be seen is not a quiet one.
const demand = computed<Sounding>(() => (lost.value ? 'high' : demanded(alarms.value)))
// What the person has typed so far; null: the pad is closed.
const typed = signal<string | null>(null)
const refused = signal('')

function listen(): void {
  const source = new EventSource('/events')
  source.addEventListener('bed', (event: MessageEvent<string>) => take(JSON.parse(event.data) as Frame))
  source.onerror = () => {
    connected.value = false
    // Closed for good, for instance because as many screens as may are open: asked for again.
    if (source.readyState === EventSource.CLOSED) window.setTimeout(listen, 2_000)
  }
}

function take(told: Frame): void {
  const at = performance.now()
  setWall(told.at_ms, at)
  heardAt.value = at
  connected.value = true
  bedState(told.bed.bed).value = { view: told.bed, hubAtMs: told.at_ms, receivedAt: at }
  frame.value = told
  document.title = `Bed ${told.bed.bed}`
}

async function press(pin: string, end: boolean): Promise<void> {
  try {
    const answer = await fetch('/pause', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pin, end }),
    })
    refused.value = answer.ok ? '' : await answer.text()
    typed.value = answer.ok ? null : ''
  } catch {
    refused.value = 'The agent does not answer.'
    typed.value = ''
  }
}

function Page(): VNode {
  const told = frame.value
  if (told === null) return <p class="waiting">{lost.value ? 'asking the agent of this bed' : ''}</p>
  const bed = told.bed.bed
  return (
    <main class="bedside">
      {lost.value && <div class="lostbanner" role="alert">THIS BED IS NOT HEARD: its agent does not answer. Look at the patient and the monitor.</div>}
      {audio.value !== 'running' && <button class="unheard" onClick={() => void startSound()}>NO SOUND: touch to switch it on</button>}
      <section class="picture">
        <Tile bed={bed} lanes={0} still />
      </section>
      <Alarms />
      <footer>
        <span class={told.watch.covered === false ? 'said' : ''}>
          {told.watch.covered === null ? 'no central monitoring is set up' : told.watch.covered ? 'watched by a station' : `not watched: ${told.watch.why}`}
        </span>
        <Button told={told} />
        <span class="clock">{clock(wall(now.value), true)}</span>
      </footer>
      {typed.value !== null && <Pad paused={told.bed.pause != null} />}
    </main>
  )
}

function Alarms(): VNode {
  return (
    <ul class="alarms" aria-live="polite">
      {alarms.value.map((alarm) => (
        <li key={alarm.key} class={`${alarm.priority} ${alarm.manner}`}>
          <b>
            {asterisks(alarm.priority)} {label(alarm.text)}
          </b>
          <span>{[duration(alarm.sinceMs), ...alarm.parts, ...remarks(alarm, wall(now.value))].join(' · ')}</span>
        </li>
      ))}
      {alarms.value.length === 0 && <li class="none">no alarms</li>}
    </ul>
  )
}

function Button({ told }: { told: Frame }): VNode | null {
  const pause = told.bed.pause ?? null
  const words = pause === null ? 'PAUSE AUDIO' : `AUDIO PAUSED ${duration(pause.until_ms - wall(now.value))}: end`
  if (!told.can_pause) return pause === null ? null : <b>{words.replace(': end', '')}</b>
  return (
    <button class={pause === null ? 'pause' : 'pause on'} onClick={() => (typed.value = '')}>
      {words}
    </button>
  )
}

function Pad({ paused }: { paused: boolean }): VNode {
  const code = typed.value ?? ''
  return (
    <div class="pad" role="dialog" aria-label="Code">
      <p>{refused.value === '' ? (paused ? 'Code, to end the pause' : 'Code, to pause the audio for 2 minutes') : refused.value}</p>
      <output>{'•'.repeat(code.length)}</output>
      <div class="digits">
        {DIGITS.map((digit) => (
          <button key={digit} onClick={() => (typed.value = (code + digit).slice(0, 12))}>
            {digit}
          </button>
        ))}
      </div>
      <div class="ends">
        <button onClick={() => ((typed.value = null), (refused.value = ''))}>back</button>
        <button class="go" disabled={code.length < 4} onClick={() => void press(code, paused)}>
          {paused ? 'end the pause' : 'pause'}
        </button>
      </div>
    </div>
  )
}

const root = document.getElementById('app')
if (root !== null) render(<Page />, root)
startClock()
listen()
effect(() => sound(demand.value))
armDeadMan('medium')
void startSound()
for (const touch of ['pointerdown', 'keydown']) window.addEventListener(touch, () => audio.peek() !== 'running' && void startSound())
window.setInterval(() => supervise(performance.now()), LOOK_MS)
