// A bed's limits: what was asked for, what the bed took, what is in force now, who wanted it and why; and the way to ask for others.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { drawn, Person } from './act'
import type { BedLimits, LimitRow, LimitSet } from './api'
import { bedState } from './feed'
import { clock, day, label, lasting, ucumText } from './format'
import { send } from './hub'
import { now, wall } from './pulse'
import { ask, useQuestion } from './question'
import { toBed } from './view'

const EVERY_MS = 1_500

type Side = 'low' | 'high'
interface Pair {
  code: number
  name: string
  ucum: string
  low: LimitRow | undefined
  high: LimitRow | undefined
}

export function Limits({ bed }: { bed: string }): VNode {
  // Counts what was sent: the answer is looked at anew at once.
  const asked = useSignal(0)
  const standing = useQuestion<BedLimits>(`${bed} ${asked.value}`, EVERY_MS, (until) => ask(`/api/v1/beds/${encodeURIComponent(bed)}/limits`, until))
  const editing = useSignal(false)
  const done = (): void => {
    editing.value = false
    asked.value += 1
  }
  const patient = bedState(bed).value?.view.patient ?? null
  const told = standing.told?.data
  return (
    <main class="page">
      <header class="head">
        <button type="button" class="act" onClick={() => toBed(bed)}>
          <kbd>Esc</kbd> bed {bed}
        </button>
        <h1>
          Limits <b>{bed}</b> <span>{patient?.name ?? ''}</span>
        </h1>
        {told !== undefined && !editing.value && (
          <button type="button" class="act strong" onClick={() => (editing.value = true)}>
            change
          </button>
        )}
      </header>
      {standing.trouble !== null && <p class="trouble">{standing.trouble}</p>}
      {told !== undefined && (editing.value ? <Edit bed={bed} of={told} done={done} /> : <Shown bed={bed} of={told} />)}
    </main>
  )
}

function Shown({ bed, of }: { bed: string; of: BedLimits }): VNode {
  const inForce = of.in_force
  const pairs = pairsOf(bed, inForce ?? of.requested)
  return (
    <div class="split">
      <section>
        <Where of={of} />
        <table class="list limitlist">
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col" class="n">low</th>
              <th scope="col" class="n">high</th>
              <th scope="col">after</th>
              <th scope="col">priority</th>
            </tr>
          </thead>
          <tbody>
            {pairs.map((pair) => (
              <tr key={pair.code}>
                <th scope="row">
                  {label(pair.name)} <i>{ucumText(pair.ucum)}</i>
                </th>
                <Cell now={pair.low} wanted={find(of.requested, pair.code, 'low')} />
                <Cell now={pair.high} wanted={find(of.requested, pair.code, 'high')} />
                <td>{[...new Set([pair.low, pair.high].flatMap((row) => (row === undefined ? [] : [seconds(row.delay_ms)])))].join(' / ')}</td>
                <td>{[...new Set([pair.low?.priority, pair.high?.priority].filter((p) => p !== undefined))].join(' / ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section aria-label="Earlier sets">
        <h2>Before</h2>
        <ol class="history">
          {of.history.map((set) => (
            <li key={set.version}>
              <b>{set.version}</b> {when(set.at_ms)} <span>{set.author}</span>
              <i>{set.reason}</i>
            </li>
          ))}
        </ol>
      </section>
    </div>
  )
}

// Three states, and whether they are one: only what is in force alarms.
function Where({ of }: { of: BedLimits }): VNode {
  const { requested, accepted, in_force } = of
  const settled = requested?.version === in_force?.version
  return (
    <div class="where3">
      <State name="in force" set={in_force} strong />
      {!settled && <State name="taken by the bed" set={accepted} />}
      {!settled && <State name="asked for" set={requested} />}
      {of.refused != null && <p class="trouble">The bed refused set {of.refused.version}: {of.refused.words}</p>}
      <p class="small">
        profile <b>{of.profile ?? 'none'}</b>
        {!settled && '. The bed alarms by what is in force until it has taken the newer set.'}
      </p>
    </div>
  )
}

function State({ name, set, strong = false }: { name: string; set: LimitSet | null; strong?: boolean }): VNode {
  return (
    <div class={`state ${strong ? 'strong' : ''}`}>
      <span>{name}</span>
      <b>{set === null ? 'none' : `set ${set.version}`}</b>
      {set !== null && (
        <span>
          {set.author}, {when(set.at_ms)}
          {set.reason === '' ? '' : `: ${set.reason}`}
        </span>
      )}
    </div>
  )
}

function Cell({ now: inForce, wanted }: { now: LimitRow | undefined; wanted: LimitRow | undefined }): VNode {
  const differs = wanted?.threshold !== inForce?.threshold
  return (
    <td class="n big">
      {inForce?.threshold ?? '–'}
      {differs && <span class="wanted"> → {wanted?.threshold ?? 'none'}</span>}
    </td>
  )
}

function Edit({ bed, of, done }: { bed: string; of: BedLimits; done: () => void }): VNode {
  const base = of.requested ?? of.in_force
  const typed = useSignal<Record<string, string>>({})
  const reason = useSignal('')
  const trouble = useSignal('')
  const busy = useSignal(false)
  const rows = base?.limits ?? []
  const changed = rows.filter((row) => keyOf(row) in typed.value && typed.value[keyOf(row)] !== row.threshold)
  const wrong = changed.find((row) => !/^-?\d+(\.\d+)?$/.test(typed.value[keyOf(row)] ?? ''))
  const submit = async (headers: Record<string, string>): Promise<void> => {
    busy.value = true
    const limits = rows.map((row) => ({ ...row, threshold: typed.value[keyOf(row)] ?? row.threshold }))
    const answer = await send('PUT', `/beds/${encodeURIComponent(bed)}/limits`, { base: base?.version ?? 0, reason: reason.value.trim(), limits }, { ...headers, 'idempotency-key': drawn() })
    busy.value = false
    if (answer.ok) done()
    else trouble.value = answer.words
  }
  return (
    <div class="split form">
      <section>
        <table class="list limitlist">
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col">low</th>
              <th scope="col">high</th>
            </tr>
          </thead>
          <tbody>
            {pairsOf(bed, base).map((pair) => (
              <tr key={pair.code}>
                <th scope="row">
                  {label(pair.name)} <i>{ucumText(pair.ucum)}</i>
                </th>
                {[pair.low, pair.high].map((row, i) => (
                  <td key={i}>
                    {row !== undefined && (
                      <input
                        inputMode="decimal"
                        size={6}
                        aria-label={`${pair.name} ${row.side}`}
                        disabled={row.extreme === true}
                        value={typed.value[keyOf(row)] ?? row.threshold}
                        onInput={(event) => (typed.value = { ...typed.value, [keyOf(row)]: event.currentTarget.value.trim() })}
                      />
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section>
        <h2>Ask for these limits</h2>
        <ul class="changes">
          {changed.map((row) => (
            <li key={keyOf(row)}>
              {label(nameOf(bed, row))} {row.side} {row.threshold} → <b>{typed.value[keyOf(row)]}</b>
            </li>
          ))}
        </ul>
        <Person
          trouble={wrong === undefined ? trouble.value : `${label(nameOf(bed, wrong))} ${wrong.side} is not a number.`}
          busy={busy.value}
          disabled={changed.length === 0 || wrong !== undefined || reason.value.trim() === ''}
          verb="Ask for these limits"
          submit={submit}
          close={done}
          first
        >
          <label>
            Why
            <input value={reason.value} maxLength={120} onInput={(event) => (reason.value = event.currentTarget.value)} required />
          </label>
          <p class="small">The bed checks the whole set against the bounds of this site, and says when it is in force.</p>
        </Person>
      </section>
    </div>
  )
}

const keyOf = (row: LimitRow): string => `${row.code}/${row.side}/${row.extreme === true ? 'x' : ''}`
const seconds = (ms: number): string => (ms === 0 ? 'at once' : `${ms / 1000} s`)
const find = (set: LimitSet | null, code: number, side: Side): LimitRow | undefined => set?.limits.find((row) => row.code === code && row.side === side && row.extreme !== true)

function when(atMs: number): string {
  const at = wall(now.value)
  return at - atMs < 86_400_000 ? `${clock(atMs)} (${lasting(at - atMs)} ago)` : `${day(atMs)} ${clock(atMs)}`
}

function nameOf(bed: string, row: { code: number; label?: string }): string {
  return row.label ?? bedState(bed).value?.view.values.find((value) => value.code === row.code)?.label ?? String(row.code)
}

function pairsOf(bed: string, set: LimitSet | null): Pair[] {
  const rows = set?.limits ?? []
  return [...new Set(rows.map((row) => row.code))].map((code) => {
    const first = rows.find((row) => row.code === code)
    return { code, name: first === undefined ? '' : nameOf(bed, first), ucum: first?.ucum ?? '', low: find(set, code, 'low'), high: find(set, code, 'high') }
  })
}
