// The one owner of the page's sound: patterns looped by the audio clock itself, and proof, again and again, that they are heard there.

import { signal } from '@preact/signals'
import type { Sounding } from './sounding'
import { burst, PATTERNS, type Tone } from './tones'

// off: nobody asked for sound. suspended: the browser holds it back until a person touches the page.
export type AudioState = 'off' | 'running' | 'suspended' | 'failed'
export type SelfTest = 'passed' | 'failed' | 'none'

export const audio = signal<AudioState>('off')
export const selfTest = signal<SelfTest>('none')
export const sounding = signal<Sounding>('none')
// How long this page last hung, and whether its dead man was heard meanwhile.
export const hung = signal<{ ms: number; sounded: boolean } | null>(null)
// performance.now() at which a person said that they heard the test.
export const heardByPerson = signal<number | null>(null)

// A page that hangs does not take this back: it sounds by itself.
const DEAD_MAN_S = 6
const REARM_MS = 1_000
// The context's clock may stand this long before it counts as dead.
const STALLED_MS = 3_000
const RETRY_MS = 5_000
const LEAD_S = 0.05
const RELEASE_S = 0.02
// Root mean square below this over a whole burst: nothing left the graph.
const SILENCE_RMS = 0.005
export const RETEST_MS = 8 * 3_600_000
const TEST_MS = 1_500

let context: AudioContext | null = null
let out: GainNode | null = null
let ear: AnalyserNode | null = null
let heard = new Float32Array(0)
let playing: Playing | null = null
let deadMan: Playing | null = null
let deadManTone: Sounding = 'none'
let rearmedAt = -Infinity
let supervisedAt = Infinity
let retriedAt = -Infinity
let clockSeen = { audio: -1, at: 0 }
// Since when the ear should have heard something, and whether it has, in this round of the pattern.
let round = { since: 0, loudest: 0 }
let testUntil = 0
let testLoudest = 0
let testedAt = -Infinity

interface Playing {
  source: AudioBufferSourceNode
  gain: GainNode
}

// The same graph for the speaker and for whoever measures it offline.
export function loop(on: BaseAudioContext, into: AudioNode, tone: Tone, at: number, once = false): Playing {
  const samples = burst(PATTERNS[tone], on.sampleRate)
  const buffer = on.createBuffer(1, samples.length, on.sampleRate)
  buffer.copyToChannel(samples, 0)
  const source = on.createBufferSource()
  const gain = on.createGain()
  source.buffer = buffer
  source.loop = !once
  source.connect(gain).connect(into)
  source.start(at)
  return { source, gain }
}

function release(old: Playing | null): void {
  if (old === null || context === null) return
  const now = context.currentTime
  old.gain.gain.setTargetAtTime(0, now, RELEASE_S / 4)
  old.source.stop(now + RELEASE_S)
}

// Asks for sound. Without a person's touch the browser may refuse: then the state says so, and the next touch tries again.
export async function start(): Promise<void> {
  try {
    if (context === null) {
      context = new AudioContext({ latencyHint: 'interactive' })
      out = context.createGain()
      ear = context.createAnalyser()
      ear.fftSize = 32_768
      heard = new Float32Array(ear.fftSize)
      out.connect(ear).connect(context.destination)
      context.onstatechange = look
    }
    if (context.state !== 'running') await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 500))])
  } catch {
    audio.value = 'failed'
    return
  }
  look()
  if (audio.value === 'running' && selfTest.value !== 'passed') test()
}

// One pulse that a person hears and the analyser measures.
export function test(): void {
  if (context === null || out === null || audio.value !== 'running') return
  testedAt = performance.now()
  testUntil = testedAt + TEST_MS
  testLoudest = 0
  selfTest.value = 'none'
  const probe = loop(context, out, 'low', context.currentTime + LEAD_S, true)
  probe.source.stop(context.currentTime + TEST_MS / 1000)
}

export function sound(tone: Sounding): void {
  if (tone === sounding.peek()) return
  sounding.value = tone
  play()
}

function play(): void {
  release(playing)
  playing = null
  round = { since: performance.now(), loudest: 0 }
  const tone = sounding.peek()
  if (tone === 'none' || context === null || out === null) return
  playing = loop(context, out, tone, context.currentTime + LEAD_S)
}

// What the audio thread does by itself if the page does not come back: `none` takes it away.
export function armDeadMan(tone: Sounding): void {
  deadManTone = tone
  if (tone === 'none') {
    release(deadMan)
    deadMan = null
  }
}

// Four times a second: is the clock running, does what is played come out, is the dead man held back?
export function supervise(at: number): void {
  const away = at - supervisedAt
  supervisedAt = at
  if (context === null || out === null || ear === null) return
  if (away > DEAD_MAN_S * 1000 && deadMan !== null) hung.value = { ms: away, sounded: level(ear) > SILENCE_RMS }
  look()
  if (audio.value !== 'running') return retry(at)
  listenIn(at)
  if (deadManTone !== 'none' && at - rearmedAt >= REARM_MS) {
    rearmedAt = at
    release(deadMan)
    deadMan = loop(context, out, deadManTone, context.currentTime + DEAD_MAN_S)
  }
  if (at - testedAt > RETEST_MS && sounding.peek() === 'none') test()
}

// A person has touched the page and it still does not sound, or its clock stands: a device may have gone and come back, and a new
// context finds it where the old one does not.
function retry(at: number): void {
  const mayStart = audio.peek() === 'failed' || navigator.userActivation?.hasBeenActive === true
  if (!mayStart || at - retriedAt < RETRY_MS) return
  const isFirst = retriedAt === -Infinity
  retriedAt = at
  // The first moment belongs to the touch itself.
  if (isFirst) return
  const old = context
  context = out = ear = null
  playing = deadMan = null
  void old?.close().catch(() => undefined)
  void start()
}

function look(): void {
  if (context === null) return
  const at = performance.now()
  if (context.currentTime !== clockSeen.audio || context.state !== 'running') clockSeen = { audio: context.currentTime, at }
  const dead = context.state === 'closed' || at - clockSeen.at > STALLED_MS
  const before = audio.peek()
  audio.value = dead ? 'failed' : context.state === 'running' ? 'running' : 'suspended'
  if (audio.value === 'running') retriedAt = -Infinity
  if (audio.value === 'running' && before !== 'running') play()
}

function listenIn(at: number): void {
  if (ear === null) return
  const rms = level(ear)
  if (testUntil > 0) {
    testLoudest = Math.max(testLoudest, rms)
    if (testLoudest > SILENCE_RMS) settle('passed')
    else if (at > testUntil) settle('failed')
  }
  const tone = sounding.peek()
  if (tone === 'none') return
  round.loudest = Math.max(round.loudest, rms)
  if (at - round.since < roundMs(tone)) return
  if (round.loudest <= SILENCE_RMS) selfTest.value = 'failed'
  else if (selfTest.value === 'failed') selfTest.value = 'passed'
  round = { since: at, loudest: 0 }
}

function settle(result: SelfTest): void {
  selfTest.value = result
  testUntil = 0
}

function roundMs(tone: Tone): number {
  const { pulseMs, gapsMs, betweenMs } = PATTERNS[tone]
  return (gapsMs.length + 1) * pulseMs + gapsMs.reduce((sum, gap) => sum + gap, 0) + betweenMs + 1_000
}

function level(of: AnalyserNode): number {
  of.getFloatTimeDomainData(heard)
  let sum = 0
  for (const v of heard) sum += v * v
  return Math.sqrt(sum / heard.length)
}
