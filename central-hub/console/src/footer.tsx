// What must be known about the screen itself: is the hub there, how late are the waves, who is signed in, what this is not.

import { useComputed } from '@preact/signals'
import type { VNode } from 'preact'
import { hubLink } from './age'
import { bedState, beds, connected, heardAt, logOut, roundTripMs, session, storeOk, wavesConnected } from './feed'
import { thousandths } from './format'
import { framesPerSecond, now } from './pulse'
import { WAVE_DELAY_MS } from './sweep'
import { helping, toCompleteness } from './view'

export function Footer(): VNode {
  const counts = useComputed(() => {
    const views = beds.value.flatMap((bed) => bedState(bed).value?.view ?? [])
    const occupied = views.filter((view) => view.state === 'occupied')
    return {
      occupied: occupied.length,
      live: occupied.filter((view) => view.agent?.state === 'live' && view.link_lost_ms === null).length,
      simulated: views.filter((view) => view.agent?.simulated === true).length,
      beds: views.length,
    }
  }).value
  const silent = Math.max(0, now.value - heardAt.value)
  const link = hubLink(silent, connected.value)
  const trip = roundTripMs.value
  return (
    <footer>
      <span class={`hub ${link}`}>
        hub <b>{link === 'live' ? (trip === null ? 'live' : thousandths(trip)) : link}</b>
      </span>
      <span class="minor">
        heard <b class="fixed">{Number.isFinite(silent) ? `${(silent / 1000).toFixed(1)} s` : 'never'}</b>
      </span>
      <span>
        <b>{link === 'lost' ? 0 : counts.live}</b> of {counts.occupied} beds live
      </span>
      <span>
        waves <b>{wavesConnected.value ? `delayed ${WAVE_DELAY_MS / 1000} s` : 'off'}</b>
      </span>
      <span class="minor">
        <b>{Math.round(framesPerSecond.value)}</b> frames/s
      </span>
      {!storeOk.value && <b class="fault">HUB IS NOT RECORDING</b>}
      {counts.simulated > 0 && (
        <b class="plate">
          SIMULATED {counts.simulated} of {counts.beds}
        </b>
      )}
      <span class="not">
        <b>SOUND: NONE</b> visual only · <b>NOT FOR ALARM SURVEILLANCE</b>
      </span>
      <span class="person">{session.value?.user.name ?? ''}</span>
      <button type="button" onClick={toCompleteness}>
        <kbd>C</kbd> completeness
      </button>
      <button type="button" onClick={() => void logOut()}>
        sign out
      </button>
      <button type="button" onClick={() => (helping.value = true)}>
        <kbd>?</kbd> help
      </button>
    </footer>
  )
}
