// A person lets the screen sound, hears it, and says so: what only software has tested is called unverified.

import { signal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { isStation } from './monitor'
import { audio, heardByPerson, selfTest, start, test } from './speaker'
import { standing } from './station'
import { SAFETY } from './words'

const checking = signal(false)

export function openSoundCheck(): void {
  checking.value = true
  if (audio.peek() === 'running') test()
  else void start()
}

// Over everything while the browser holds sound back: nobody can take a silent screen for a working one.
export function StartScreen(): VNode | null {
  const held = isStation.value && audio.value === 'suspended' && heardByPerson.value === null
  const was = useRef(false)
  useEffect(() => {
    // The touch may have let the page sound before its button heard of it: it is asked all the same whether it is heard.
    if (was.current && !held && audio.peek() === 'running' && heardByPerson.peek() === null) checking.value = true
    was.current = held
  }, [held])
  if (!held) return null
  const station = standing.value.is === 'station' ? standing.value.station : undefined
  return (
    <div class="overlay" role="alertdialog" aria-label="Start monitoring">
      <div class="card">
        <h1>{station?.name ?? 'Station'}</h1>
        <p class="beds">
          beds <b>{station?.beds.join(', ')}</b>
        </p>
        <p>This screen is silent until somebody touches it.</p>
        <button type="button" class="great" onClick={openSoundCheck}>
          Start monitoring
        </button>
        <p class="small">{SAFETY}</p>
      </div>
    </div>
  )
}

export function SoundCheck(): VNode | null {
  return checking.value ? <Check /> : null
}

function Check(): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const running = audio.value === 'running'
  const answer = (heard: boolean): void => {
    heardByPerson.value = heard ? performance.now() : null
    checking.value = false
  }
  return (
    <dialog ref={dialog} class="sheet" onClose={() => (checking.value = false)} aria-label="Sound check">
      <h2>Do you hear a tone?</h2>
      <p class={selfTest.value === 'failed' || !running ? 'trouble' : ''} role="status">
        {!running && 'The browser does not let this page sound.'}
        {running && selfTest.value === 'none' && 'One tone, measured as it leaves the page.'}
        {running && selfTest.value === 'passed' && 'It has left the page. Only a person can tell whether the loudspeaker works.'}
        {running && selfTest.value === 'failed' && 'Nothing was measured at the output of this page.'}
      </p>
      <div class="choices">
        <button type="button" class="great" disabled={!running} onClick={() => answer(true)}>
          Yes, I hear it
        </button>
        <button type="button" class="act" onClick={() => (running ? test() : void start())}>
          Again
        </button>
        <button type="button" class="act" onClick={() => answer(false)}>
          No
        </button>
      </div>
    </dialog>
  )
}
