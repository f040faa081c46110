// Beside the trend: the time under the cursor, the list of holes, which lanes are shown, what the marks mean.

import type { VNode } from 'preact'
import { clock, day, label, lasting, site } from './format'
import { isIn, middleOf, together, type Listed } from './holes'
import type { Choice } from './lanes'
import { cursor, turn } from './span'
import type { Shown } from './trend'

export function Aside({ shown, choices, old }: { shown: Shown; choices: Choice[]; old: boolean }): VNode {
  return (
    <aside class={`beside ${old ? 'old' : ''}`}>
      <At shown={shown} />
      <Holes shown={shown} />
      <Choices choices={choices} />
      <Legend />
    </aside>
  )
}

function At({ shown }: { shown: Shown }): VNode {
  const at = cursor.value
  const visible = at !== null && at >= shown.from && at < shown.to
  const hole = visible ? shown.holes.find((h) => isIn(h, at)) : undefined
  return (
    <div class="at">
      {visible && <b>{clock(at)}</b>}
      <span>{visible ? day(at) : '← → or the pointer read a time; G goes to a hole'}</span>
      {hole !== undefined && <span class={`cause ${hole.kind}`}>{hole.what}</span>}
    </div>
  )
}

function Holes({ shown }: { shown: Shown }): VNode {
  const { holes } = shown
  const [missing, coming] = [holes.filter((hole) => hole.kind !== 'coming'), holes.filter((hole) => hole.kind === 'coming')]
  return (
    <section class="holes" aria-label="Holes in the record">
      <h2>
        Holes
        <span>{[inAll(missing, 'missing'), inAll(coming, 'waiting')].filter((w) => w !== '').join(' · ')}</span>
      </h2>
      {holes.length === 0 && <p>none in these hours</p>}
      <ul>
        {holes.map((hole) => (
          <li key={`${hole.from}/${hole.cause}/${hole.devices.join()}`}>
            <button type="button" class={hole.kind} onClick={() => (cursor.value = middleOf(hole, shown.from, shown.to))}>
              <i class={`swatch ${hole.kind}`} />
              <span class="when">{hole.when}</span>
              <span class="long">{hole.long}</span>
              <span class="what">{hole.what}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

function inAll(holes: Listed[], word: string): string {
  if (holes.length === 0) return ''
  return `${holes.reduce((sum, hole) => sum + hole.pieces.length, 0)} ${word}, ${lasting(together(holes.flatMap((hole) => hole.pieces)))}`
}

function Choices({ choices }: { choices: Choice[] }): VNode | null {
  if (choices.length === 0) return null
  return (
    <section class="choices" aria-label="Parameters shown">
      <h2>Parameters</h2>
      <div>
        {choices.map((choice) => (
          <button key={choice.key} type="button" aria-pressed={choice.shown} onClick={() => turn(choice.key)}>
            {label(choice.label)} {site(choice.site)} <i>{choice.device}</i>
          </button>
        ))}
      </div>
    </section>
  )
}

function Legend(): VNode {
  return (
    <dl class="legend" aria-label="Marks">
      <div>
        <dt>
          <i class="swatch band" />
        </dt>
        <dd>least to greatest, line: mean; faint: less than half of the time</dd>
      </div>
      <div>
        <dt>
          <i class="swatch lost" />
        </dt>
        <dd>missing, cause known</dd>
      </div>
      <div>
        <dt>
          <i class="swatch coming" />
        </dt>
        <dd>not here yet, may still come</dd>
      </div>
      <div>
        <dt>
          <i class="swatch unexplained" />
        </dt>
        <dd>missing, nobody knows why: report it</dd>
      </div>
      <div>
        <dt>
          <i class="swatch limit" />
        </dt>
        <dd>alarm limit in force now</dd>
      </div>
    </dl>
  )
}
