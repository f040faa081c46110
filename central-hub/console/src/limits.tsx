// A bed's limits: what is wanted, how far that has come at the bed, what is other than in the profile; and the way to ask for others.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { Person } from './act'
import type { BedLimits, IssuedSet, LimitLine } from './api'
import { bedState } from './feed'
import { asterisks, clock, day, gestation, label, lasting, ucumText } from './format'
import { send } from './hub'
import { now, wall } from './pulse'
import { ask, useQuestion } from './question'
import { toBed } from './view'

const EVERY_MS = 1_500

export function Limits({ bed }: { bed: string }): VNode {
  // Counts what was sent: the answer is looked at anew at once.
  const asked = useSignal(0)
  const editing = useSignal(false)
  const standing = useQuestion<BedLimits>(`${bed} ${asked.value}`, EVERY_MS, (until) => ask(`/api/v1/beds/${encodeURIComponent(bed)}/limits`, until))
  const told = standing.told?.data
  const done = (): void => {
    editing.value = false
    asked.value += 1
  }
  return (
    <main class="page">
      <header class="head">
        <button type="button" class="act" onClick={() => toBed(bed)}>
          <kbd>Esc</kbd> bed {bed}
        </button>
        <h1>
          Limits <b>{bed}</b> <span>{bedState(bed).value?.view.patient?.name ?? ''}</span>
        </h1>
        {told?.requested != null && !editing.value && (
          <button type="button" class="act strong" onClick={() => (editing.value = true)}>
            change
          </button>
        )}
      </header>
      {standing.trouble !== null && <p class="trouble">{standing.trouble}</p>}
      {told !== undefined && (
        <div class="split form">
          <section>
            <Where of={told} />
            {editing.value ? <Edit bed={bed} of={told} done={done} /> : <Lines bed={bed} lines={told.requested?.limits ?? []} settled={told.state === 'in-force'} />}
          </section>
          <section aria-label="Profile and earlier sets">
            <Profile of={told} bed={bed} done={done} />
            <h2>Before</h2>
            <ol class="history">
              {told.history.map((set) => (
                <Issue key={set.version} set={set} />
              ))}
            </ol>
          </section>
        </div>
      )}
    </main>
  )
}

const STATES: Record<BedLimits['state'], string> = {
  none: 'nothing is wanted here',
  requested: 'ASKED FOR, the bed has not taken it',
  accepted: 'TAKEN by the bed, not yet in force',
  'in-force': 'in force',
  refused: 'REFUSED by the bed',
  reset: 'LIMITS RESET: the bed alarms by its own configuration',
  unconfirmed: 'UNCONFIRMED: the bed has a set that this hub does not know',
}

// What alarms is what is in force; what is wanted is only wanted until the bed says so.
function Where({ of }: { of: BedLimits }): VNode {
  const { requested, in_force, accepted } = of
  const settled = of.state === 'in-force'
  return (
    <div class="where3">
      <div class={`state strong ${settled ? '' : 'open'}`}>
        <b>{STATES[of.state]}</b>
        {requested !== null && (
          <span>
            set {requested.version}: {requested.author}, {when(requested.at_ms)}
            {requested.reason === '' ? '' : `, ${requested.reason}`}
          </span>
        )}
      </div>
      {!settled && (
        <div class="state">
          in force {in_force === null ? 'nothing of this hub' : `set ${in_force.version} (${in_force.author}, ${in_force.profile})`}
          {accepted !== null && accepted !== in_force?.version && `, on the bed’s disk set ${accepted}`}
        </div>
      )}
      {of.words !== '' && <p class="said">{of.words}</p>}
    </div>
  )
}

function Lines({ bed, lines, settled }: { bed: string; lines: LimitLine[]; settled: boolean }): VNode {
  const inForce = bedState(bed).value?.view.limits ?? []
  return (
    <table class="list limitlist">
      <thead>
        <tr>
          <th scope="col">Parameter</th>
          <th scope="col" />
          <th scope="col" class="n">
            limit
          </th>
          <th scope="col">after</th>
          <th scope="col">{settled ? '' : 'in force'}</th>
          <th scope="col">usual</th>
        </tr>
      </thead>
      <tbody>
        {sorted(lines).map((line, i, all) => {
          const other = inForce.find((row) => row.code === line.code && row.side === line.side && (row.priority ?? line.priority) === line.priority)
          return (
            <tr key={keyOf(line)} class={line.code === all[i - 1]?.code ? 'same' : ''}>
              <th scope="row">{line.code === all[i - 1]?.code ? '' : <Name line={line} />}</th>
              <td>{asterisks(line.priority)}</td>
              <td class="n big">
                {line.side === 'low' ? '<' : '>'} {line.threshold}
              </td>
              <td>{delay(line)}</td>
              <td class="wanted">{settled ? (line.extreme ? 'always on' : '') : (other?.threshold ?? 'none')}</td>
              <td class="usual">{line.changed ? (line.usual === null ? 'not in the profile' : `${line.usual.threshold}, ${seconds(line.usual.delay_ms)}`) : ''}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Name({ line }: { line: LimitLine }): VNode {
  return (
    <>
      {label(line.label)} <i>{ucumText(line.ucum)}</i>
    </>
  )
}

function Edit({ bed, of, done }: { bed: string; of: BedLimits; done: () => void }): VNode {
  const typed = useSignal<Record<string, string>>({})
  const reason = useSignal('')
  const trouble = useSignal('')
  const busy = useSignal(false)
  // What was on the screen when the change began: later ones by others are not written over.
  const version = useSignal(of.version).value
  const lines = sorted(of.requested?.limits ?? [])
  const changed = lines.filter((line) => keyOf(line) in typed.value && typed.value[keyOf(line)] !== line.threshold)
  const wrong = changed.find((line) => !/^-?\d+(\.\d+)?$/.test(typed.value[keyOf(line)] ?? ''))
  const submit = async (headers: Record<string, string>): Promise<void> => {
    busy.value = true
    const limits = changed.map((line) => ({ code: line.code, side: line.side, priority: line.priority, threshold: typed.value[keyOf(line)] }))
    const answer = await send('PATCH', `/beds/${encodeURIComponent(bed)}/limits`, { version, reason: reason.value.trim(), limits }, headers)
    busy.value = false
    if (answer.ok) done()
    else trouble.value = answer.words
  }
  return (
    <>
      <table class="list limitlist">
        <tbody>
          {lines.map((line, i, all) => (
            <tr key={keyOf(line)}>
              <th scope="row">{line.code === all[i - 1]?.code ? '' : <Name line={line} />}</th>
              <td>{asterisks(line.priority)}</td>
              <td class="n">{line.side === 'low' ? '<' : '>'}</td>
              <td>
                <input
                  inputMode="decimal"
                  size={6}
                  aria-label={`${line.label} ${line.side} ${line.priority}`}
                  disabled={line.extreme}
                  value={typed.value[keyOf(line)] ?? line.threshold}
                  onInput={(event) => (typed.value = { ...typed.value, [keyOf(line)]: event.currentTarget.value.trim() })}
                />
              </td>
              <td>{line.extreme ? 'always on' : delay(line)}</td>
              <td class="wanted">{changed.includes(line) ? `was ${line.threshold}` : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Person
        trouble={wrong === undefined ? trouble.value : `${label(wrong.label)} ${wrong.side} is not a number.`}
        busy={busy.value}
        disabled={changed.length === 0 || wrong !== undefined || reason.value.trim() === ''}
        verb="Ask for these limits"
        submit={submit}
        close={done}
        first
      >
        <label>
          Why
          <input class="reason" value={reason.value} maxLength={200} onInput={(event) => (reason.value = event.currentTarget.value)} required />
        </label>
        <p class="small">The bed checks the whole set against the bounds of this site, and says when it is in force.</p>
      </Person>
    </>
  )
}

function Profile({ of, bed, done }: { of: BedLimits; bed: string; done: () => void }): VNode {
  const { profile, circumstances, deviations, age_step } = of
  const accepting = useSignal(false)
  const trouble = useSignal('')
  const busy = useSignal(false)
  const accept = async (headers: Record<string, string>): Promise<void> => {
    busy.value = true
    const answer = await send('POST', `/beds/${encodeURIComponent(bed)}/limits/age`, { version: of.version }, headers)
    busy.value = false
    if (answer.ok) done()
    else trouble.value = answer.words
  }
  return (
    <div class="profile">
      <h2>{profile?.title ?? 'No profile'}</h2>
      {circumstances !== null && (
        <p class="small">
          GA {gestation(circumstances.gestational_age)}, limits for PMA {gestation(circumstances.pma_of_limits)} (now {gestation(circumstances.pma)}), oxygen {circumstances.oxygen.replaceAll('-', ' ')}
        </p>
      )}
      {deviations.length > 0 && (
        <ul class="changes">
          {deviations.map((words) => (
            <li key={words}>{label(words)}</li>
          ))}
        </ul>
      )}
      {age_step !== null && (
        <>
          <p class="said">{label(age_step)}</p>
          {accepting.value ? (
            <Person trouble={trouble.value} busy={busy.value} disabled={false} verb="Take the limits of this age" submit={accept} close={() => (accepting.value = false)} />
          ) : (
            <button type="button" class="act strong" onClick={() => (accepting.value = true)}>
              take the limits of this age
            </button>
          )}
        </>
      )}
    </div>
  )
}

function Issue({ set }: { set: IssuedSet }): VNode {
  return (
    <li>
      <b>{set.version}</b> {when(set.at_ms)} <span>{set.author}</span>
      <i>
        {set.reason} {set.profile !== '' && `(${set.profile})`}
      </i>
    </li>
  )
}

const keyOf = (line: LimitLine): string => `${line.code}/${line.side}/${line.priority}`
const seconds = (ms: number): string => (ms === 0 ? 'at once' : `${ms / 1000} s`)

// Our delay, and with what the device has averaged over already.
function delay(line: LimitLine): string {
  return line.total_delay_ms === null || line.total_delay_ms === line.delay_ms ? seconds(line.delay_ms) : `${seconds(line.delay_ms)} (in all ${seconds(line.total_delay_ms)})`
}

// As they stand in the set by parameter; the upper ones first, the farthest out at the ends.
function sorted(lines: LimitLine[]): LimitLine[] {
  const order = [...new Set(lines.map((line) => line.code))]
  return [...lines].sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code) || Number(b.threshold) - Number(a.threshold) || a.side.localeCompare(b.side))
}

function when(atMs: number): string {
  const at = wall(now.value)
  return at - atMs < 86_400_000 ? `${clock(atMs)} (${lasting(at - atMs)} ago)` : `${day(atMs)} ${clock(atMs)}`
}
