// The unit: every bed in its fixed place, sized so that the numbers are as large as the screen allows.

import type { VNode } from 'preact'
import { Alone } from './alone'
import { beds, connected, heardAt } from './feed'
import { hubLink } from './age'
import { counter } from './format'
import { grid } from './grid'
import { noticesPx } from './notices'
import { now } from './pulse'
import { Tile } from './tile'
import { height, lanesAsked, width } from './view'

// What strip and footer take (console.css: --strip, --footer).
const CHROME_PX = 124
const SMALL_LANE_PX = 300

export function Unit(): VNode {
  const list = beds.value
  const room = height.value - CHROME_PX - noticesPx.value
  const { columns, rows } = grid(list.length, width.value, room)
  const tileHeight = room / rows
  const lanes = lanesAsked ?? lanesFor(list.length, rows * columns, tileHeight)
  return (
    <main
      class="unit"
      style={{ gridTemplateColumns: `repeat(${columns}, 1fr)`, gridTemplateRows: `repeat(${rows}, 1fr)` }}
    >
      {list.map((bed) => (
        <Alone key={bed} bed={bed}>
          <Tile bed={bed} lanes={lanes} />
        </Alone>
      ))}
      {list.length === 0 && <p class="waiting">waiting for the hub</p>}
    </main>
  )
}

function lanesFor(beds: number, places: number, tileHeight: number): number {
  if (beds <= 4) return 3
  return tileHeight < SMALL_LANE_PX && places > 20 ? 1 : 2
}

// Over everything, at once: what is on the screen is no longer what is at the beds.
export function LostBanner(): VNode | null {
  const silent = now.value - heardAt.value
  if (hubLink(silent, connected.value) !== 'lost') return null
  const ever = Number.isFinite(silent)
  return (
    <div class="lostbanner" role="alert">
      <b>*** NO CONNECTION TO HUB</b>
      {ever && <span class="count">{counter(silent)}</span>}
      <span>{ever ? 'All values are old. Go to the beds.' : 'Nothing has been received yet.'}</span>
    </div>
  )
}
