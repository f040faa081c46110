// A station at work: sounds what its beds demand, proves it each second, and sounds by itself when it can no longer know.

import { computed, effect, signal } from '@preact/signals'
import { hubLink } from './age'
import { asking } from './asking'
import { alarmsOf, unitAlarmsOf, type ShownAlarm } from './alarms'
import { bedState, connected, heardAt, onTick, unitAlarms } from './feed'
import { now } from './pulse'
import { composed, marksOnPage, post, whenPainted, type Tick } from './receipts'
import { demanded, demandedOf, higher, paintedBeats, type Sounding } from './sounding'
import { armDeadMan, audio, selfTest, sound, start, supervise } from './speaker'
import { covered, standing } from './station'
import { screen, toUnit } from './view'

export const isStation = computed(() => standing.value.is === 'station')
export const visible = signal(document.visibilityState === 'visible')
// Why this screen does not count as a station just now, in words; null: it does.
export const silentBecause = computed<string | null>(() => {
  if (!isStation.value) return null
  if (audio.value === 'off' || audio.value === 'suspended') return 'The browser holds sound back until this screen is touched.'
  if (audio.value === 'failed') return 'The audio engine has stopped.'
  if (selfTest.value === 'failed') return 'The sound test failed: nothing was measured at the output.'
  if (!visible.value) return 'This page was not visible.'
  return null
})

const LOOK_MS = 250
// A station that nobody touches goes back to all its beds.
const ALONE_MS = 120_000

let touchedAt = performance.now()

export function alarmsAt(bed: string): ShownAlarm[] | undefined {
  const state = bedState(bed).value
  return state === undefined ? undefined : alarmsOf(state.view, state.hubAtMs)
}

const demand = computed<Sounding>(() => {
  if (!isStation.value) return 'none'
  if (hubLink(now.value - heardAt.value, connected.value) === 'lost') return 'high'
  const { alarms, hubAtMs } = unitAlarms.value
  return higher(demandedOf(covered(), alarmsAt), demanded(unitAlarmsOf(alarms, hubAtMs)))
})

export function begin(): void {
  effect(() => sound(demand.value))
  effect(() => armDeadMan(isStation.value ? 'medium' : 'none'))
  effect(() => {
    if (isStation.value && audio.peek() === 'off') void start()
  })
  onTick(prove)
  document.addEventListener('visibilitychange', seen)
  for (const touch of ['pointerdown', 'keydown']) window.addEventListener(touch, () => (touchedAt = performance.now()), true)
  effect(() => {
    if (isStation.value && screen.value.of !== 'unit' && asking.value === null && now.value - touchedAt > ALONE_MS) toUnit()
  })
  // Any touch may be the one that the browser waits for.
  for (const touch of ['pointerdown', 'keydown']) window.addEventListener(touch, () => isStation.value && audio.peek() !== 'running' && void start())
  window.setInterval(() => supervise(performance.now()), LOOK_MS)
  effect(() => {
    if (isStation.value) void stayAwake()
  })
}

let nonce = ''

function prove(tick: Tick): void {
  if (!isStation.value || tick.nonce === undefined) return
  nonce = tick.nonce
  const beats = tick.beats ?? {}
  // A hidden page paints nothing and says so.
  if (!visible.value) return void post(composed(nonce, {}, false))
  whenPainted(() => {
    const marks = marksOnPage()
    const painted = document.querySelector('.lostbanner') === null ? paintedBeats(beats, alarmsAt, (mark) => marks.has(mark)) : {}
    void post(composed(tick.nonce ?? '', painted, visible.value))
  })
}

function seen(): void {
  visible.value = document.visibilityState === 'visible'
  if (!isStation.value) return
  if (visible.value) void stayAwake()
  else if (nonce !== '') void post(composed(nonce, {}, false))
}

async function stayAwake(): Promise<void> {
  await navigator.wakeLock?.request('screen').catch(() => undefined)
}
