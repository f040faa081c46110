// Who lies in this bed: admitting, correcting what was typed, discharging. Everything here ends up in the child's record.

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { drawn, Person } from './act'
import type { Patient } from './api'
import { bedState } from './feed'
import { send } from './hub'
import { toBed } from './view'

type Field = 'identifier' | 'name' | 'birth_date' | 'weeks' | 'days' | 'weight_g' | 'oxygen'

function fieldsOf(patient: Patient | null): Record<Field, string> {
  return {
    identifier: patient?.identifier ?? '',
    name: patient?.name ?? '',
    birth_date: patient?.birth_date ?? '',
    weeks: patient?.gestational_age === null || patient === null ? '' : String(patient.gestational_age.weeks),
    days: patient?.gestational_age === null || patient === null ? '' : String(patient.gestational_age.days),
    weight_g: patient?.weight_g == null ? '' : String(patient.weight_g),
    oxygen: patient?.oxygen ?? 'unknown',
  }
}

export function Admission({ bed }: { bed: string }): VNode {
  const patient = bedState(bed).value?.view.patient ?? null
  const typed = useSignal<Record<Field, string>>(fieldsOf(patient))
  const trouble = useSignal('')
  const busy = useSignal(false)
  const leaving = useSignal(false)
  const route = `/beds/${encodeURIComponent(bed)}/patient`
  const input = (field: Field, more: Record<string, unknown> = {}): VNode => (
    <input required value={typed.value[field]} onInput={(event) => (typed.value = { ...typed.value, [field]: event.currentTarget.value })} autocomplete="off" spellcheck={false} {...more} />
  )
  const finish = async (method: 'PUT' | 'DELETE', headers: Record<string, string>): Promise<void> => {
    busy.value = true
    const { identifier, name, birth_date, weeks, days, weight_g, oxygen } = typed.value
    const body = { identifier: identifier.trim(), name: name.trim(), birth_date, gestational_age: { weeks: Number(weeks), days: Number(days) }, weight_g: weight_g === '' ? null : Number(weight_g), oxygen }
    const answer = await send(method, route, method === 'PUT' ? body : undefined, { ...headers, 'idempotency-key': drawn() })
    busy.value = false
    if (answer.ok) toBed(bed)
    else trouble.value = answer.words
  }
  return (
    <main class="page">
      <header class="head">
        <button type="button" class="act" onClick={() => toBed(bed)}>
          <kbd>Esc</kbd> bed {bed}
        </button>
        <h1>
          {patient === null ? 'Admit to' : 'Admitted in'} <b>{bed}</b> <span>{patient?.name ?? ''}</span>
        </h1>
        {patient !== null && (
          <button type="button" class="act" onClick={() => (leaving.value = !leaving.value)}>
            {leaving.value ? 'keep the patient here' : 'discharge'}
          </button>
        )}
      </header>
      {leaving.value ? (
        <section class="form narrow">
          <h2>Discharge {patient?.name}</h2>
          <p>Open alarms, pauses and this child’s limits end with it. Nothing that is measured afterwards belongs to this child.</p>
          <Person trouble={trouble.value} busy={busy.value} disabled={false} verb={`Discharge from ${bed}`} submit={(headers) => finish('DELETE', headers)} close={() => (leaving.value = false)} />
        </section>
      ) : (
        <section class="form narrow">
          <Person trouble={trouble.value} busy={busy.value} disabled={false} verb={patient === null ? `Admit to ${bed}` : 'Correct'} submit={(headers) => finish('PUT', headers)} close={() => toBed(bed)} first>
            <div class="two">
              <label>Identifier{input('identifier', { readOnly: patient !== null })}</label>
              <label>Name{input('name')}</label>
            </div>
            <div class="two">
              <label>
                Born
                {input('birth_date', { placeholder: 'YYYY-MM-DD', pattern: '\\d{4}-\\d{2}-\\d{2}', inputMode: 'numeric' })}
              </label>
              <label>
                Weight, g{input('weight_g', { inputMode: 'numeric', pattern: '\\d{3,4}', required: false })}
              </label>
            </div>
            <div class="two">
              <label>Gestational age, completed weeks{input('weeks', { inputMode: 'numeric', pattern: '2[0-9]|3[0-9]|4[0-4]' })}</label>
              <label>and days{input('days', { inputMode: 'numeric', pattern: '[0-6]' })}</label>
            </div>
            <fieldset class="choices">
              <legend>Oxygen</legend>
              {[
                ['room-air', 'room air'],
                ['supplemental', 'supplemental oxygen'],
                ['unknown', 'not known'],
              ].map(([word = '', words]) => (
                <button key={word} type="button" role="radio" aria-checked={typed.value.oxygen === word} class={`act ${typed.value.oxygen === word ? 'chosen' : ''}`} onClick={() => (typed.value = { ...typed.value, oxygen: word })}>
                  {words}
                </button>
              ))}
            </fieldset>
            <p class="small">Gestational age and oxygen choose the limits’ profile. Not known counts as oxygen: the upper limit of SpO₂ then alarms.</p>
          </Person>
        </section>
      )}
    </main>
  )
}
