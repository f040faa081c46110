// The keys and marks of this screen, on one card.

import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { helping } from './view'

const KEYS: [string, string][] = [
  ['0–9', 'the bed with this number'],
  ['← ↑ → ↓', 'between beds'],
  ['Enter', 'open the bed'],
  ['A', 'acknowledge: the bed’s loudest alarm, or the first on top'],
  ['P', 'pause the sound of the bed'],
  ['T  L  M', 'trend, limits, admission of the bed'],
  ['H', 'the alarms there were'],
  ['C', 'completeness of the record'],
  ['Esc', 'one step back'],
  ['?', 'this card'],
]

const TREND_KEYS: [string, string][] = [
  ['← →', 'the cursor, by one bucket; with Shift by ten'],
  ['Home  End', 'the cursor to the first and the last'],
  ['G  Shift G', 'to the hole before, to the one after'],
  ['+  -', 'fewer hours, more hours'],
  ['PgUp  PgDn  N', 'earlier, later, now'],
  ['V', 'as a table'],
]

const MARKS: [string, string][] = [
  ['***  **  *', 'high, medium, low priority'],
  ['152 ?', 'the device doubts the value'],
  ['---', 'the device says it has no value'],
  ['-?-', 'nothing for more than 10 s; the age beside it counts on'],
  ['3 s', 'age of a value that is late'],
  ['14:02', 'when an episodic value was measured'],
  ['ACK SENT', 'asked for; the bed has not confirmed it yet'],
  ['ACCEPTED by', 'somebody goes; the alarm sounds on'],
  ['○ name', 'a device that is not sending, and why'],
  ['UNIT ASSUMED', 'the device did not say its unit of measure'],
  ['NOT RECORDED', 'shown before the hub has it on disk'],
]

export function Help(): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="help" onClose={() => (helping.value = false)} aria-label="Help">
      <Card title="Keys" rows={KEYS} />
      <Card title="In the trend" rows={TREND_KEYS} />
      <Card title="Marks" rows={MARKS} />
      <p>
        Cotside supplements the alarms of the bedside devices. Where a monitor and this screen disagree, the monitor is
        right.
      </p>
      <form method="dialog">
        <button type="submit">close</button>
      </form>
    </dialog>
  )
}

function Card({ title, rows }: { title: string; rows: [string, string][] }): VNode {
  return (
    <section>
      <h2>{title}</h2>
      <dl>
        {rows.map(([key, meaning]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
