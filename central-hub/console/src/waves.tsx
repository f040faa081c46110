// A tile's canvas: which channels it shows, how large it is, and the words over each lane.

import { useSignalEffect } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { bedWaves } from './feed'
import { label } from './format'
import { paint } from './pulse'
import { byPreference, shapeOf, type Shape } from './sweep'
import { Sweep } from './wave'
import type { Trace } from './trace'

let palette: Record<Shape, string> | undefined

function colours(): Record<Shape, string> {
  const style = getComputedStyle(document.documentElement)
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  palette ??= { ecg: read('ecg'), pleth: read('pleth'), resp: read('resp'), abp: read('abp'), other: read('other') }
  return palette
}

export function Waves({ bed, lanes }: { bed: string; lanes: number }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null)
  const sweep = useRef<Sweep | null>(null)
  const waves = bedWaves(bed)
  const shown = chosen(waves.traces.value, lanes)

  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    const made = new Sweep(element, waves.clock, colours())
    sweep.current = made
    made.show(chosen(waves.traces.peek(), lanes))
    const watcher = new ResizeObserver(() => made.resize(element.clientWidth, element.clientHeight, devicePixelRatio))
    watcher.observe(element)
    const stop = paint((now) => made.paint(now))
    return () => {
      watcher.disconnect()
      stop()
      sweep.current = null
    }
  }, [bed, lanes])

  useSignalEffect(() => {
    sweep.current?.show(chosen(waves.traces.value, lanes))
  })

  return (
    <>
      <canvas ref={canvas} aria-hidden="true" />
      <div class="lanes" aria-hidden="true">
        {shown.map((trace) => (
          <span key={trace.channel.id}>{label(trace.channel.label)}</span>
        ))}
      </div>
    </>
  )
}

// One lane per kind first, so that pleth is not pushed out by a second ECG lead.
function chosen(traces: Trace[], lanes: number): Trace[] {
  const ranked = [...traces].sort((a, b) => byPreference(a.channel, b.channel))
  const firsts = ranked.filter((t, i) => ranked.findIndex((o) => shapeOf(o.channel.code) === shapeOf(t.channel.code)) === i)
  const others = ranked.filter((t) => !firsts.includes(t))
  return [...firsts, ...others].slice(0, lanes).sort((a, b) => byPreference(a.channel, b.channel))
}
