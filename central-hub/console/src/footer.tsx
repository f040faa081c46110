// What must be known about the screen itself: is the hub there, how late are the waves, who is signed in, what this is not.

import { useComputed } from '@preact/signals'
import type { VNode } from 'preact'
import { hubLink } from './age'
import { bedState, beds, connected, heardAt, logOut, roundTripMs, session, storeOk, wavesConnected } from './feed'
import { thousandths } from './format'
import { isStation, silentBecause } from './monitor'
import { framesPerSecond, now } from './pulse'
import { openSoundCheck } from './soundcheck'
import { counted } from './receipts'
import { audio, heardByPerson, hung, sounding } from './speaker'
import { standing } from './station'
import { WAVE_DELAY_MS } from './sweep'
import { Bell } from './symbols'
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
      {isStation.value ? <StationWords /> : <RemoteWords />}
      {session.value?.user != null && <span class="person">{session.value.user.name}</span>}
      <button type="button" onClick={toCompleteness}>
        <kbd>C</kbd> completeness
      </button>
      {session.value?.user != null && (
        <button type="button" onClick={() => void logOut()}>
          sign out
        </button>
      )}
      <button type="button" onClick={() => (helping.value = true)}>
        <kbd>?</kbd> help
      </button>
    </footer>
  )
}

function RemoteWords(): VNode {
  return (
    <span class="not">
      <b class="plate">REMOTE VIEW</b> no sound · <b>NOT FOR ALARM SURVEILLANCE</b>
    </span>
  )
}

// What a station says of its own voice.
function StationWords(): VNode {
  const silent = silentBecause.value
  const told = counted.value
  const known = heardByPerson.value !== null
  return (
    <span class="not">
      station <b>{standing.value.is === 'station' ? standing.value.station.name : ''}</b>
      {' · '}
      {told !== null && !told.counts && silent === null && <b>DOES NOT COUNT: {told.why} · </b>}
      <button type="button" class="sound" data-audio={audio.value} data-hung={hung.value === null ? undefined : `${Math.round(hung.value.ms / 1000)} s, ${hung.value.sounded ? 'sounded' : 'silent'}`} data-sounding={sounding.value} onClick={openSoundCheck}>
        <Bell crossed={silent !== null} />
        {silent !== null ? <b>SOUND OFF</b> : <b>{known ? 'sound on' : 'SOUND UNVERIFIED'}</b>}
      </button>
    </span>
  )
}
