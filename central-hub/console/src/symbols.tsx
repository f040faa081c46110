// The few symbols of the alarm area, drawn as people know them from monitors (IEC 60417: bell, cross, triangle).

import type { VNode } from 'preact'
import type { Sign } from './alarms'

const BELL = 'M12 3a5.5 5.5 0 0 0-5.5 5.5V13L4.5 16.5h15L17.5 13V8.5A5.5 5.5 0 0 0 12 3Zm-2 15a2 2 0 0 0 4 0Z'
const WORDS: Record<Sign, string> = { paused: 'audio paused', off: 'off', acknowledged: 'acknowledged', latched: 'latched', none: '' }

export function Symbol({ sign }: { sign: Sign }): VNode | null {
  if (sign === 'none') return null
  return (
    <svg class="sign" viewBox="0 0 24 24" role="img" aria-label={WORDS[sign]}>
      {(sign === 'paused' || sign === 'off') && <path d={BELL} fill="currentColor" opacity="0.85" />}
      {/* A pause is a dotted cross, off a whole one. */}
      {(sign === 'paused' || sign === 'off') && (
        <path d="M3 3 21 21M21 3 3 21" class="cross" stroke-dasharray={sign === 'paused' ? '3.4 2.6' : undefined} />
      )}
      {sign === 'acknowledged' && <path d="m4 12.5 5.5 5.5L20 6.5" class="line" />}
      {sign === 'latched' && <path d="M6 11h12v9H6Zm2.5 0V8a3.5 3.5 0 0 1 7 0v3" class="line" />}
    </svg>
  )
}

export function Bell({ crossed = false }: { crossed?: boolean }): VNode {
  return (
    <svg class="sign" viewBox="0 0 24 24" aria-hidden="true">
      <path d={BELL} fill="currentColor" />
      {crossed && <path d="M3 3 21 21M21 3 3 21" class="cross" />}
    </svg>
  )
}
