// What must never be forgotten, in one line below the alarms: who is silenced, held back or watched by nobody, and whether this screen can sound.

import { computed } from '@preact/signals'
import type { VNode } from 'preact'
import type { BedView } from './api'
import { bedState, beds } from './feed'
import { duration } from './format'
import { silentBecause } from './monitor'
import { now, wall } from './pulse'
import { audio, start } from './speaker'
import { openSoundCheck } from './soundcheck'
import { Bell, Symbol } from './symbols'

// console.css: .notices
const LINE_PX = 44

const views = computed<BedView[]>(() => beds.value.flatMap((bed) => bedState(bed).value?.view ?? []))
const paused = computed(() => views.value.filter((view) => (view.pause ?? null) !== null))
const standby = computed(() => views.value.filter((view) => (view.standby ?? null) !== null))
const occupied = computed(() => views.value.filter((view) => view.state === 'occupied'))
const alone = computed(() => occupied.value.filter((view) => view.watch?.covered === false))
const any = computed(() => silentBecause.value !== null || paused.value.length + standby.value.length + alone.value.length > 0)

export const noticesPx = computed(() => (any.value ? LINE_PX : 0))

export function Notices(): VNode {
  const silent = silentBecause.value
  const at = wall(now.value)
  if (!any.value) return <div class="notices" hidden />
  return (
    <div class="notices" role="status">
      {silent !== null && (
        <button type="button" class="chip medium flash silent" onClick={() => (audio.peek() === 'running' ? openSoundCheck() : void start())}>
          <span class="what">
            <Bell crossed /> ** SOUND OFF
          </span>
          <small>{silent} This screen does not count as a station. Touch to start.</small>
        </button>
      )}
      {alone.value.length > 0 && (
        <span class="notice">
          <b>{alone.value.length === occupied.value.length ? 'NO STATION WATCHES THIS UNIT' : 'NOT WATCHED BY A STATION'}</b>
          {alone.value.length < occupied.value.length && <> {alone.value.map((view) => view.bed).join(', ')}</>}
        </span>
      )}
      {paused.value.length > 0 && (
        <span class="notice">
          <Symbol sign="paused" /> <b>AUDIO PAUSED</b> {paused.value.map((view) => `${view.bed} ${duration((view.pause?.until_ms ?? at) - at)}`).join(' · ')}
        </span>
      )}
      {standby.value.length > 0 && (
        <span class="notice">
          <Symbol sign="off" /> <b>STANDBY</b>{' '}
          {standby.value.map((view) => `${view.bed} ${duration((view.standby?.until_ms ?? at) - at)} ${view.standby?.reason ?? ''}`).join(' · ')}
        </span>
      )}
    </div>
  )
}
