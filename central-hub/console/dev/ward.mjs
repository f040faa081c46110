// The fake hub's beds: made-up babies with the states a console must be able to show, as functions of the wall time.

import { record } from './record.mjs'

const BABIES = [
  ['Thompson', 32, 4, 8, 1820], ['Okafor A', 26, 1, 21, 940], ['Okafor B', 26, 1, 21, 1020], ['Lindqvist', 29, 6, 3, 1310],
  ['Haddad', 34, 0, 2, 2100], ['Moreau', 24, 5, 40, 1110], ['Sato', 31, 2, 11, 1550], ['Novak', 33, 3, 5, 1940],
  ['Adeyemi', 27, 0, 33, 1200], ['Fischer', 35, 1, 1, 2360], ['O’Brien-Castellanos', 28, 2, 17, 1080], ['Petrova', 30, 4, 14, 1480],
]

// What makes a bed worth looking at, by its index; any other bed is well.
const STORIES = ['calm', 'desaturating', 'cuff', 'tachycardic', 'late', 'stale', 'available', 'lost', 'acknowledged', 'latched', 'paused', 'procedure']

export function ward({ beds, waves, calm, hostile }) {
  const began = Date.now()
  const all = Array.from({ length: beds }, (_, i) => bed(i, began, calm, hostile))
  let sentTo = Date.now()
  return {
    beds: all,
    records: all.map((b) => [b.id, b.record]),
    view: (now) => ({ unit: { id: 'nicu', name: 'NICU A' }, hub_at_ms: now, store_ok: true, beds: all.map((b) => b.view(now)) }),
    waves(now) {
      const from = sentTo
      sentTo = now
      const sending = all.filter((b) => b.sends)
      return {
        channels: sending.flatMap((b) => b.channels.slice(0, waves)),
        frames: sending.flatMap((b) => b.channels.slice(0, waves).map((c) => ({ bed: b.id, bytes: chunk(c, from, now) }))),
      }
    },
  }
}

function bed(index, began, calm, hostile) {
  const id = String(index + 1).padStart(2, '0')
  const story = calm || index >= STORIES.length ? 'calm' : STORIES[index]
  const [given, weeks, days, dol, weight] = BABIES[index % BABIES.length]
  const name = hostile ? '<img src=x onerror=alert(1)>' : given
  const hr = { desaturating: 78, tachycardic: 204 }[story] ?? 132 + ((index * 17) % 36)
  const rr = { desaturating: 22 }[story] ?? 38 + ((index * 11) % 24)
  const spo2 = { desaturating: 71 }[story] ?? 91 + (index % 8)
  const occupied = story !== 'available'
  const sends = occupied && story !== 'lost'

  const wander = (now, base, by, period) => Math.round(base + by * Math.sin(now / period + index))
  const value = (now, code, label, fullName, text, ucum, more = {}) => ({
    code, label, name: fullName, site: null, value: String(text), ucum, age_ms: 350, at_ms: now - 350,
    pace: 'continuous', quality: [], device: 'monitor', setting: false, ...more,
  })
  const values = (now) => {
    const stale = (now - began) % 20_000
    const art = 34 + weeks % 9
    const list = [
      value(now, 147842, 'HR', 'Heart rate (ECG)', wander(now, hr, 3, 4000), '{beats}/min', story === 'late' ? { age_ms: 6800, at_ms: now - 6800 } : {}),
      value(now, 150456, 'SpO2', 'SpO2', wander(now, spo2, 1, 5000), '%', story === 'cuff' ? { quality: ['questionable'] } : {}),
      value(now, 151578, 'RR', 'Resp rate (impedance)', wander(now, rr, 4, 6000), '{breaths}/min',
        story === 'stale' ? { value: null, quality: ['stale'], age_ms: 14_000 + stale } : {}),
      value(now, 150388, 'Temp skin', 'Temp skin', (36.6 + (index % 5) / 10).toFixed(1), 'Cel', story === 'late' ? { age_ms: 3600 } : {}),
      value(now, 150488, 'PI', 'Perfusion index', (1.1 + (index % 4) / 5).toFixed(1), '%', { device: 'oximeter' }),
      value(now, 151920, 'FiO2', 'FiO2 measured', 21 + ((index * 3) % 20), '%', { device: 'ventilator' }),
      value(now, 151976, 'PEEP', 'PEEP measured', 5, 'cm[H2O]', { device: 'ventilator' }),
    ]
    if (story === 'cuff' || index % 5 === 4) {
      const at = now - (story === 'cuff' ? 12 : 75) * 60_000
      const cuff = { pace: 'episodic', at_ms: at, age_ms: now - at }
      list.push(value(now, 150021, 'NIBP sys', 'NIBP systolic', 58, 'mm[Hg]', cuff), value(now, 150022, 'NIBP dia', 'NIBP diastolic', 31, 'mm[Hg]', cuff), value(now, 150023, 'NIBP mean', 'NIBP mean', 41, 'mm[Hg]', cuff))
    } else {
      list.push(value(now, 150033, 'ART sys', 'ART systolic', wander(now, art + 16, 2, 7000), 'mm[Hg]'), value(now, 150034, 'ART dia', 'ART diastolic', wander(now, art - 9, 1, 7000), 'mm[Hg]'), value(now, 150035, 'ART mean', 'ART mean', wander(now, art, 1, 7000), 'mm[Hg]'))
    }
    if (story === 'tachycardic') {
      const cuff = { pace: 'episodic', at_ms: now - 240_000, age_ms: 240_000 }
      list.push(value(now, 150021, 'NIBP sys', 'NIBP systolic', 54, 'mm[Hg]', cuff), value(now, 150022, 'NIBP dia', 'NIBP diastolic', 29, 'mm[Hg]', cuff), value(now, 150023, 'NIBP mean', 'NIBP mean', 38, 'mm[Hg]', cuff))
    }
    if (story === 'stale') list.push(value(now, 151756, 'tcpCO2', 'tcpCO2', '44', 'mm[Hg]', { quality: ['calibrating'], device: 'tcm' }))
    return list
  }
  const alarm = (episode, priority, code, text, ago, more = {}) => ({
    episode, version: 1, rule: 'limit-low', kind: 'physiological', priority, condition: 'active', inactivation: { state: 'enabled' }, code,
    value: null, limit: null, ucum: '%', text, onset_ms: ago - 5000, active_ms: ago, recorded: true, ...more,
  })
  const alarms = (now) => {
    if (story === 'desaturating') return [alarm(1, 'high', 150456, 'SpO2 71 < 85', began - 19_000), alarm(2, 'high', 147842, 'HR 78 < 100', began - 11_000, { recorded: false })]
    if (story === 'tachycardic') return [alarm(3, 'medium', 147842, hostile ? 'HR 204 <img src=x onerror=alert(1)>' : 'HR 204 > 200', began - 41_000)]
    if (story === 'stale') return [alarm(4, 'low', 151578, 'RESP LEAD OFF', began - 130_000, { kind: 'technical' })]
    if (story === 'acknowledged') return [alarm(6, 'medium', 147842, 'HR 96 < 100', began - 95_000, { inactivation: { state: 'acknowledged', by: 'K. Lund', at_us: (began - 60_000) * 1000 } })]
    if (story === 'latched') return [alarm(7, 'high', null, 'APNOEA 24 s', began - 31_000, { condition: 'latched', parts: ['Apnea 24 s', 'HR 68', 'SpO2 74'] })]
    if (story === 'paused') return [alarm(8, 'medium', 150456, 'SpO2 82 < 85', began - 25_000, { inactivation: { state: 'audio-paused', by: 'K. Lund', until_us: (began + 95_000) * 1000 } })]
    if (story === 'calm' && index === 0 && !calm) return [alarm(5, 'medium', 150456, 'SpO2 84 < 85', now - 3000, { condition: 'delaying', active_ms: null })]
    return []
  }
  const limits = [[147842, 100, 200, '{beats}/min'], [150456, 85, 95, '%'], [151578, 20, 70, '{breaths}/min'], [150035, 28, 50, 'mm[Hg]'], [150388, '36.0', '38.0', 'Cel']].flatMap(
    ([code, low, high, ucum]) => [{ code, side: 'low', threshold: String(low), ucum }, { code, side: 'high', threshold: String(high), ucum }],
  )
  const device = (link, name, driver, model, state = 'live', detail = '') => ({
    link, name, driver, state, detail, manufacturer: '', model, serial: `S${link}${id}77`, heard_ms: state === 'live' ? 300 : 64_000,
  })
  const devices = [
    device(0, 'monitor', 'intellivue', 'MP70'),
    device(1, 'oximeter', 'masimo', 'Radical-7'),
    device(2, 'ventilator', 'medibus', 'VN500', story === 'late' ? 'silent' : 'live', story === 'late' ? 'no answer for 64 s' : ''),
  ]

  const held = { pause: null, standby: null, requested: null, acked: new Map(), asked: new Map(), taken: new Map(), worse: new Map(), patient: undefined }
  if (story === 'paused') held.pause = { until_ms: began + 95_000, by: 'K. Lund', up_to: 'medium' }
  if (story === 'procedure') held.standby = { until_ms: began + 840_000, by: 'M. Roth', reason: 'eye examination' }
  const asIs = (now) => {
    if (held.pause !== null && held.pause.until_ms < now) held.pause = null
    if (held.standby !== null && held.standby.until_ms < now) held.standby = null
    return alarms(now).map((a) => {
      const episode = String(a.episode)
      const worse = held.worse.get(episode) ?? 0
      const acked = held.acked.get(episode)
      const inactivation = acked !== undefined ? acked : held.pause !== null && a.inactivation.state === 'enabled' ? { state: 'audio-paused', by: held.pause.by, until_us: held.pause.until_ms * 1000 } : a.inactivation
      return { parts: [], late: false, ...a, episode, version: a.version + worse, attention: a.version + worse, inactivation, requested: held.asked.get(episode) ?? null, responsibility: held.taken.get(episode) ?? { state: 'none' } }
    })
  }

  return {
    id,
    sends,
    began,
    request(what, by, episode) {
      if (episode === undefined) held.requested = { act: what, by }
      else held.asked.set(episode, { act: what, by })
    },
    apply(what, by, episode, body) {
      held.requested = null
      held.asked.delete(episode)
      const now = Date.now()
      if (what === 'acknowledge') held.acked.set(episode, { state: 'acknowledged', by, at_us: now * 1000 })
      if (what === 'pause-audio') held.pause = { until_ms: now + (body.seconds ?? 120) * 1000, by, up_to: 'high' }
      if (what === 'end-pause') held.pause = null
      if (what === 'standby') held.standby = { until_ms: now + body.minutes * 60_000, by, reason: body.reason }
      if (what === 'end-standby') held.standby = null
    },
    confirm() {
      for (const [episode, { act, by }] of [...held.asked]) this.apply(act, by, episode, {})
    },
    worsen: (episode) => void held.worse.set(episode, (held.worse.get(episode) ?? 0) + 1),
    responsibility: (episode, answer, by) => void held.taken.set(episode, { state: answer === 'accept' ? 'accepted' : answer === 'reject' ? 'rejected' : 'none', by, at_ms: Date.now() }),
    admit: (patient) => void (held.patient = patient),
    discharge: () => void (held.patient = null),
    limitRows: () => {
      const name = { 147842: 'HR', 150456: 'SpO2', 151578: 'RR', 150035: 'ART mean', 150388: 'Temp skin' }
      const line = (l, priority, delay_ms, extreme) => ({ ...l, label: name[l.code], priority, delay_ms, total_delay_ms: delay_ms + 8_000, extreme, changed: false, usual: null, source: 'profile' })
      return [
        ...limits.map((l) => line(l, 'medium', l.code === 150456 ? 15_000 : 5_000, false)),
        line({ code: 150456, side: 'low', threshold: '80', ucum: '%' }, 'high', 10_000, true),
        line({ code: 147842, side: 'low', threshold: '80', ucum: '{beats}/min' }, 'high', 5_000, true),
      ]
    },
    // The life of every alarm, open and past.
    history(now) {
      const open = asIs(now).filter((a) => a.condition !== 'delaying').map((a) => ({ ...a, bed: id, patient: name, ended_ms: null, ended: null, life: life(a.onset_ms, a.active_ms, null) }))
      if (!occupied) return open
      const past = [3, 11, 27, 52].map((ago, i) => {
        const onset = began - (ago + index * 2) * 60_000
        const end = onset + (20 + i * 13) * 1000
        return { ...alarm(`${id}-${i}`, ['high', 'medium', 'medium', 'low'][i], 150456, ['SpO2 74 < 80', 'SpO2 83 < 85', 'HR 203 > 200', 'RESP LEAD OFF'][i], onset + 5000, { condition: 'inactive', kind: i === 3 ? 'technical' : 'physiological' }), bed: id, patient: name, ended_ms: end, ended: 'resolved', life: life(onset, onset + 5000, end) }
      })
      return [...open, ...past]
    },
    record: record(story, index, hostile),
    channels: sends ? channels(index, id, hr, story === 'desaturating' ? 4 : rr, story) : [],
    view: (now) => ({
      bed: id,
      state: occupied ? 'occupied' : 'available',
      patient: held.patient === null ? null : held.patient !== undefined ? { day_of_life: 1, pma: held.patient.gestational_age, ...held.patient } : occupied ? { name, identifier: `4711-${id}`, birth_date: '2026-01-06', gestational_age: { weeks, days }, day_of_life: dol, pma: { weeks: weeks + Math.floor((days + dol) / 7), days: (days + dol) % 7 }, weight_g: weight } : null,
      agent: occupied ? { id: `gw-${id}`, state: story === 'lost' ? 'lost' : 'live', heard_ms: story === 'lost' ? now - began + 42_000 : 120, simulated: story === 'calm' && index === 0 } : null,
      devices: occupied ? devices : [],
      values: sends ? values(now) : [],
      limits: occupied ? limits : [],
      limits_state: index % 7 === 4 ? 'requested' : 'in-force',
      alarms: asIs(now),
      pause: held.pause,
      standby: held.standby,
      requested: held.requested === null ? [] : [held.requested],
      stay: `stay-${id}`,
      nurse: index % 3 === 0 ? { primary: 'K. Lund', buddy: null } : null,
      watch: { covered: !(story === 'late'), why: story === 'late' ? 'no station covers this bed' : '', stations: story === 'late' ? [] : ['Desk A'] },
      link_lost_ms: story === 'lost' ? now - began + 42_000 : null,
    }),
  }
}

const life = (onset, active, end) => {
  const step = (at_ms, what, by = null, station = null, detail = '') => ({ at_ms, what, version: 1, by, station, detail })
  return [
    step(onset, 'raised'),
    ...(active === null ? [] : [step(active + 180, 'painted', null, 'Desk A'), step(active + 240, 'sounded', null, 'Desk A')]),
    ...(end === null ? [] : [step(end - 6400, 'requested', 'K. Lund', 'Desk A', 'acknowledge'), step(end - 6000, 'acknowledged', 'K. Lund', 'Desk A'), step(end, 'ended', null, null, 'resolved')]),
  ]
}

const bump = (f, middle, width, height) => height * Math.exp(-((f - middle) ** 2) / (2 * width * width))

function channels(index, bed, hr, rr, story) {
  const beat = (seconds) => (seconds * (hr / 60) + index * 0.37) % 1
  const ecg = (s) => {
    const f = beat(s)
    return bump(f, 0.18, 0.025, 0.12) + bump(f, 0.29, 0.008, -0.12) + bump(f, 0.31, 0.009, 1) + bump(f, 0.335, 0.01, -0.24) + bump(f, 0.55, 0.045, 0.22) + (Math.random() - 0.5) * 0.02
  }
  const pleth = (s) => bump(beat(s), 0.4, 0.1, 1) + bump(beat(s), 0.66, 0.09, 0.38)
  const resp = (s) => 0.5 - 0.5 * Math.cos(2 * Math.PI * (s * (rr / 60) + index * 0.2))
  const base = index * 10
  // The late bed loses half a second of ECG every four: a gap must stay a gap.
  const hole = (s) => story === 'late' && s % 4 < 0.5
  return [
    { id: base, bed, code: 131330, label: 'ECG II', ucum: 'mV', period_us: 4000, gain: 0.005, offset: 0, device: 'monitor', draw: ecg, hole },
    { id: base + 1, bed, code: 150452, label: 'Pleth', ucum: '1', period_us: 8000, gain: 0.001, offset: 0, device: 'oximeter', draw: pleth },
    { id: base + 2, bed, code: 151552, label: 'Resp', ucum: 'Ohm', period_us: 16000, gain: 0.001, offset: 0, device: 'monitor', draw: resp },
  ]
}

const NO_SAMPLE = -2147483648

function chunk(channel, fromMs, toMs) {
  const period = channel.period_us / 1000
  const first = Math.ceil(fromMs / period)
  const last = Math.ceil(toMs / period)
  const bytes = Buffer.alloc(16 + 4 * (last - first))
  bytes.writeUInt8(1, 0)
  bytes.writeUInt16LE(channel.id, 2)
  bytes.writeUInt32LE(last - first, 4)
  bytes.writeDoubleLE(first * period, 8)
  for (let i = first; i < last; i++) {
    const seconds = (i * period) / 1000
    const raw = channel.hole?.(seconds) ? NO_SAMPLE : Math.round((channel.draw(seconds) - channel.offset) / channel.gain)
    bytes.writeInt32LE(raw, 16 + 4 * (i - first))
  }
  return bytes
}
