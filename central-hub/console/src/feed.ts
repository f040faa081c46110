// The one owner of the connection to the hub: session, event stream, waveform socket, and when each was last heard.

import { signal, type Signal } from '@preact/signals'
import type { Alarm, BedsFrame, BedView, Channel, Session, UnitView } from './api'
import { decode } from './frames'
import { csrf } from './hub'
import { setWall, wall } from './pulse'
import type { Tick } from './receipts'
import { enter, pairingOpen, standing } from './station'
import { BedClock, Trace } from './trace'

export interface BedState {
  view: BedView
  hubAtMs: number
  // performance.now() at which `view` arrived: every age on the page counts from here.
  receivedAt: number
}

export interface BedWaves {
  clock: BedClock
  traces: Signal<Trace[]>
}

const BACKOFF_FIRST_MS = 500
const BACKOFF_LAST_MS = 3_000
// The hub ticks every second; a stream this silent is dead even if the socket does not know it yet.
const SILENCE_MS = 6_000
const PROBE_MS = 5_000

export const session = signal<Session | null | undefined>(undefined)
export const signedOutBy = signal<'start' | 'person' | 'hub'>('start')
export const unit = signal<{ id: string; name: string } | null>(null)
export const storeOk = signal(true)
export const unitAlarms = signal<{ alarms: Alarm[]; hubAtMs: number; receivedAt: number }>({ alarms: [], hubAtMs: 0, receivedAt: 0 })
export const beds = signal<string[]>([])
export const connected = signal(false)
// performance.now() of the last word from the hub on the event stream.
export const heardAt = signal(-Infinity)
export const roundTripMs = signal<number | null>(null)
export const wavesConnected = signal(false)

const states = new Map<string, Signal<BedState | undefined>>()
const waves = new Map<string, BedWaves>()
const traces = new Map<number, Trace>()

export function bedState(bed: string): Signal<BedState | undefined> {
  let state = states.get(bed)
  if (state === undefined) states.set(bed, (state = signal<BedState | undefined>(undefined)))
  return state
}

export function bedWaves(bed: string): BedWaves {
  let found = waves.get(bed)
  if (found === undefined) waves.set(bed, (found = { clock: new BedClock(), traces: signal<Trace[]>([]) }))
  return found
}

// ---- session

// A station is let in by its key; anyone else by what the browser still holds of a session.
export async function resume(): Promise<void> {
  const entered = await enter()
  if (entered === 'in') return enterStation()
  if (entered === 'no-answer') return retrySoon(resume)
  try {
    const answer = await fetch('/api/v1/session')
    if (answer.ok) return signIn(dataOf<Session>(await answer.json()))
    if (answer.status === 401) session.value = null
    else retrySoon(resume)
  } catch {
    retrySoon(resume)
  }
}

// What to tell the person, or null when they are in.
export async function logIn(username: string, password: string): Promise<string | null> {
  try {
    const answer = await fetch('/api/v1/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    })
    if (answer.ok) {
      signIn(dataOf<Session>(await answer.json()))
      return null
    }
    if (answer.status === 401) return 'User name or password is wrong.'
    if (answer.status === 429) return 'Too many attempts. Wait a minute, then try again.'
    return `The hub refused (${answer.status}).`
  } catch {
    return 'The hub does not answer.'
  }
}

export async function logOut(): Promise<void> {
  const token = session.value?.csrf ?? ''
  leave('person')
  await fetch('/api/v1/session', { method: 'DELETE', headers: { 'x-csrf-token': token } }).catch(() => undefined)
}

function signIn(found: Session): void {
  csrf.value = found.csrf
  session.value = found
  void open()
}

export function enterStation(): void {
  pairingOpen.value = false
  session.value = { user: null, csrf: csrf.value ?? '' }
  void open()
}

// A station is never signed out: it shows that it is cut off, and proves itself anew.
function turnedAway(): void {
  if (standing.peek().is !== 'station') return leave('hub')
  retryStream(async () => {
    const entered = await enter()
    if (entered === 'in') void open()
    else if (entered === 'no-answer') turnedAway()
    else leave('hub')
  })
}

function leave(by: 'person' | 'hub'): void {
  signedOutBy.value = by
  session.value = null
  csrf.value = null
  close()
  for (const state of states.values()) state.value = undefined
  beds.value = []
  forgetWaves()
}

// ---- event stream

const tickTakers: ((tick: Tick) => void)[] = []
export const onTick = (take: (tick: Tick) => void): void => void tickTakers.push(take)

let stream: EventSource | null = null
let attempt = 0
let timer = 0
let watchdog = 0

async function open(): Promise<void> {
  close()
  watchdog = window.setInterval(watch, 1_000)
  try {
    const answer = await fetch('/api/v1/units')
    if (answer.status === 401) return turnedAway()
    if (!answer.ok) return retryStream()
    const units = dataOf<{ id: string; name: string }[]>(await answer.json())
    const wanted = new URLSearchParams(location.search).get('unit')
    const found = units.find((u) => u.id === wanted) ?? units[0]
    if (found === undefined || session.value === null) return retryStream()
    unit.value = found
    listen(found.id)
    void probe()
  } catch {
    retryStream()
  }
}

function close(): void {
  window.clearTimeout(timer)
  window.clearTimeout(probing)
  window.clearInterval(watchdog)
  stream?.close()
  stream = null
  connected.value = false
  closeWaves()
}

function listen(unitId: string): void {
  const source = new EventSource(`/api/v1/units/${encodeURIComponent(unitId)}/events`)
  stream = source
  const on = <T>(name: string, take: (frame: T, at: number) => void): void => {
    source.addEventListener(name, (event: MessageEvent<string>) => {
      if (stream !== source) return
      const at = performance.now()
      const frame = parsed<T>(event.data)
      if (frame === undefined) return
      heardAt.value = at
      connected.value = true
      attempt = 0
      take(frame, at)
    })
  }
  on<UnitView>('snapshot', takeSnapshot)
  on<BedsFrame>('beds', takeBeds)
  on<Tick>('tick', (tick, at) => {
    setWall(tick.hub_at_ms, at)
    if (tick.store_ok !== undefined) storeOk.value = tick.store_ok
    for (const take of tickTakers) take(tick)
  })
  on<{ hub_at_ms?: number; alarms?: Alarm[] }>('unit', (told, at) => {
    if (told.alarms !== undefined) unitAlarms.value = { alarms: told.alarms, hubAtMs: told.hub_at_ms ?? wall(at), receivedAt: at }
  })
  on('overflow', () => undefined)
  source.onerror = () => {
    if (stream === source) retryStream()
  }
}

function takeSnapshot(view: UnitView, at: number): void {
  setWall(view.hub_at_ms, at)
  unit.value = view.unit
  storeOk.value = view.store_ok
  unitAlarms.value = { alarms: view.alarms ?? [], hubAtMs: view.hub_at_ms, receivedAt: at }
  for (const [bed, state] of states) {
    if (!view.beds.some((b) => b.bed === bed)) state.value = undefined
  }
  for (const bed of view.beds) keep(bed, view.hub_at_ms, at)
  const order = view.beds.map((b) => b.bed)
  if (order.join('\n') !== beds.value.join('\n')) beds.value = order
  openWaves(view.unit.id)
}

function takeBeds(frame: BedsFrame, at: number): void {
  setWall(frame.hub_at_ms, at)
  for (const bed of frame.beds) {
    keep(bed, frame.hub_at_ms, at)
    if (!beds.value.includes(bed.bed)) {
      beds.value = [...beds.value, bed.bed].sort()
      subscribe()
    }
  }
}

function keep(view: BedView, hubAtMs: number, receivedAt: number): void {
  const before = bedState(view.bed).peek()?.view
  // Another child lies there: what was drawn is not theirs.
  if (before !== undefined && before.patient?.identifier !== view.patient?.identifier) {
    for (const trace of bedWaves(view.bed).traces.peek()) trace.forget()
  }
  bedState(view.bed).value = { view, hubAtMs, receivedAt }
}

function watch(): void {
  if (stream !== null && connected.value && performance.now() - heardAt.value > SILENCE_MS) retryStream()
}

function retryStream(how: () => Promise<void> = open): void {
  stream?.close()
  stream = null
  connected.value = false
  closeWaves()
  window.clearTimeout(timer)
  const longest = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** attempt)
  attempt += 1
  // Full jitter over the upper half: stations of one unit do not come back in step.
  timer = window.setTimeout(() => void how(), longest * (0.5 + Math.random() / 2))
}

function retrySoon(what: () => Promise<void>): void {
  window.setTimeout(() => void what(), 1_000 + 1_000 * Math.random())
}

// ---- round trip

let probing = 0

async function probe(): Promise<void> {
  window.clearTimeout(probing)
  const from = performance.now()
  try {
    const answer = await fetch('/api/v1/health', { cache: 'no-store' })
    await answer.arrayBuffer()
    roundTripMs.value = answer.ok ? performance.now() - from : null
  } catch {
    roundTripMs.value = null
  }
  if (stream !== null) probing = window.setTimeout(() => void probe(), PROBE_MS)
}

// ---- waveforms

let socket: WebSocket | null = null
let wavesTimer = 0
let wavesAttempt = 0

function openWaves(unitId: string): void {
  if (socket !== null) return subscribe()
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const opened = new WebSocket(`${scheme}://${location.host}/api/v1/units/${encodeURIComponent(unitId)}/waves`)
  opened.binaryType = 'arraybuffer'
  socket = opened
  opened.onopen = () => {
    // Channel numbers belong to one connection.
    forgetWaves()
    wavesConnected.value = true
    wavesAttempt = 0
    subscribe()
  }
  opened.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
    if (socket !== opened) return
    if (typeof event.data === 'string') takeChannels(event.data)
    else takeChunks(event.data)
  }
  opened.onclose = () => {
    if (socket !== opened) return
    socket = null
    wavesConnected.value = false
    const longest = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** wavesAttempt)
    wavesAttempt += 1
    wavesTimer = window.setTimeout(() => {
      if (stream !== null) openWaves(unitId)
    }, longest * (0.5 + Math.random() / 2))
  }
}

function subscribe(): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ beds: beds.value }))
}

function closeWaves(): void {
  window.clearTimeout(wavesTimer)
  const old = socket
  socket = null
  old?.close()
  wavesConnected.value = false
}

function forgetWaves(): void {
  traces.clear()
  for (const bed of waves.values()) {
    if (bed.traces.value.length > 0) bed.traces.value = []
  }
}

function takeChannels(text: string): void {
  const message = parsed<{ type: string; channels?: Channel[] }>(text)
  if (message?.type !== 'channels' || !Array.isArray(message.channels)) return
  const touched = new Set<string>()
  for (const channel of message.channels) {
    const before = traces.get(channel.id)
    if (before !== undefined && JSON.stringify(before.channel) === JSON.stringify(channel)) continue
    if (before !== undefined) touched.add(before.channel.bed)
    traces.set(channel.id, new Trace(channel))
    touched.add(channel.bed)
  }
  for (const bed of touched) {
    bedWaves(bed).traces.value = [...traces.values()].filter((trace) => trace.channel.bed === bed)
  }
}

function takeChunks(frame: ArrayBuffer): void {
  const at = performance.now()
  for (const chunk of decode(frame)) {
    const trace = traces.get(chunk.channel)
    if (trace === undefined || chunk.samples.length === 0) continue
    const endMs = trace.push(chunk.beginMs, chunk.samples)
    bedWaves(trace.channel.bed).clock.observe(at, endMs)
  }
}

// ---- JSON

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}

function dataOf<T>(body: unknown): T {
  return (body as { data: T }).data
}
