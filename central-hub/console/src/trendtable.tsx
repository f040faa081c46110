// The trend as a table of words: the same readings and the same holes, in two dozen rows at most.

import type { VNode } from 'preact'
import type { Point } from './api'
import { clock, day, label, site, ucumText } from './format'
import { causeWords } from './holes'
import { bucketAt, coarser } from './runs'
import type { Shown, ShownLane } from './trend'
import { number } from './trendchart'

const ROWS_MOST = 24
const ROW_MINUTES = [1, 5, 10, 15, 30, 60]

export function TrendTable({ shown }: { shown: Shown }): VNode {
  const minutes = ROW_MINUTES.find((m) => (shown.to - shown.from) / (m * 60_000) <= ROWS_MOST) ?? 60
  const span = minutes * 60_000
  const columns = shown.lanes.map((lane) => ({ lane, points: coarser(lane.trend.points, shown.resolutionMs, span) }))
  const begins: number[] = []
  for (let at = Math.floor((shown.to - 1) / span) * span; at + span > shown.from; at -= span) begins.push(at)
  return (
    <div class="trendtable" tabIndex={0}>
      <table class="list">
        <caption>
          mean (least–greatest) of each {minutes} min, newest first; {day(shown.from)} {clock(shown.from)} to {day(shown.to)} {clock(shown.to)}
        </caption>
        <thead>
          <tr>
            <th scope="col">from</th>
            {columns.map(({ lane: { key, trend } }) => (
              <th key={key} scope="col" class="n">
                {label(trend.label)} {site(trend.site)} <i>{ucumText(trend.ucum)}</i>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {begins.map((at) => (
            <tr key={at}>
              <th scope="row">{clock(at)}</th>
              {columns.map(({ lane, points }) => (
                <Cell key={lane.key} lane={lane} point={bucketAt(points, at, span)} from={at} to={at + span} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Cell({ lane, point, from, to }: { lane: ShownLane; point: Point | undefined; from: number; to: number }): VNode {
  const causes = new Set(lane.shades.filter((shade) => shade.from < to && shade.to > from).map((shade) => causeWords(shade.cause)))
  return (
    <td class="n">
      {point !== undefined && (
        <>
          {number(point[2], lane)} <i>({number(point[1], lane)}–{number(point[3], lane)})</i>
        </>
      )}
      {point === undefined && causes.size === 0 && <i>no reading</i>}
      {causes.size > 0 && <small>{[...causes].join(', ')}</small>}
    </td>
  )
}
