// Making this screen a station: a key drawn here, a code for an operator, and the sentence that everybody must have read.

import type { VNode } from 'preact'
import { canBeStation } from './identity'
import { enterStation } from './feed'
import { clock } from './format'
import { now, wall } from './pulse'
import { pair, standing, stopPairing } from './station'
import { SAFETY } from './words'

export function Pairing(): VNode {
  const at = standing.value
  return (
    <main class="login pairing">
      <div class="card">
        <h1>Pair this screen</h1>
        <p class="safety">{SAFETY}</p>
        {at.is === 'pairing' ? (
          <>
            <p>An operator approves this code, and says which beds it covers:</p>
            <output class="code" aria-label="Pairing code">
              {at.code}
            </output>
            <p class="small">
              In the hub’s list of stations, or on its machine: <code>central-hub stations approve {at.code}</code>
            </p>
            <p class="small" role="status">
              {at.trouble === '' ? 'waiting for approval' : at.trouble}
            </p>
          </>
        ) : (
          <>
            <p>
              The screen draws a key that never leaves it. It stays a station until an operator removes it; it needs a loudspeaker and is
              left switched on.
            </p>
            {at.is === 'refused' && <p class="trouble">{at.why}</p>}
            {!canBeStation() && <p class="trouble">This browser keeps no keys here: open the hub by https.</p>}
            <button type="button" class="great" disabled={!canBeStation()} onClick={() => void pair(enterStation)}>
              Draw the key and ask for a code
            </button>
          </>
        )}
        <button type="button" class="act" onClick={() => void stopPairing()}>
          Cancel
        </button>
      </div>
      <p class="time">{clock(wall(now.value), true)}</p>
    </main>
  )
}
