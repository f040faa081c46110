// The fake hub's people's side: stations and their receipts, acknowledging and pausing, limits, admission, the alarm log. Made up, in memory.

import { createPublicKey, randomBytes, verify } from 'node:crypto'

const SENT_MS = 400

function pointOf(text) {
  const point = Buffer.from(text, 'base64')
  const jwk = { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

export function desk(unit) {
  const stations = new Map()
  const challenges = new Map()
  const receipts = []
  const commands = new Map()
  const limits = new Map()
  let nonce = ''
  let autoApprove = false
  // The next act is refused as superseded; nothing is ever confirmed.
  const mood = { supersede: false, deaf: false }

  const approve = (id, beds, name = 'Desk A') => Object.assign(stations.get(id), { state: 'approved', name, beds: beds ?? unit.beds.map((b) => b.id) })
  const people = { nurse: 'K. Lund' }
  const token = (request, name) => new RegExp(`${name}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1]
  const stationOf = (request) => [...stations.values()].find((s) => s.session !== undefined && s.session === token(request, 'cotside_station'))

  // Undefined: not ours. Otherwise [status, data] and perhaps headers.
  async function answer(request, path, query, body, person) {
    const station = stationOf(request)
    if (path === '/stations/pairing' && request.method === 'POST') {
      const id = randomBytes(4).toString('hex')
      const code = String(100000 + Math.floor(Math.random() * 900000))
      stations.set(id, { id, code, name: '', state: 'pending', beds: [], key: pointOf(body.public_key) })
      if (autoApprove) approve(id)
      return [201, { station: id, code, expires_ms: Date.now() + 600_000 }]
    }
    if (path === '/stations/self/challenge') {
      if (stations.get(body.station)?.state !== 'approved') return [409, 'station-not-approved']
      const challenge = randomBytes(32).toString('base64')
      challenges.set(challenge, body.station)
      return [200, { challenge }]
    }
    if (path === '/stations/self/session') {
      const found = stations.get(body.station)
      const fresh = challenges.get(body.challenge) === body.station
      challenges.delete(body.challenge)
      if (!fresh || found?.state !== 'approved') return [401, 'login-required']
      if (!verify('sha256', Buffer.from(`cotside station session\n${found.id}\n${body.challenge}`), { key: found.key, dsaEncoding: 'ieee-p1363' }, Buffer.from(body.signature, 'base64'))) return [401, 'bad-signature']
      found.session = randomBytes(12).toString('hex')
      return [200, { station: { id: found.id, name: found.name, beds: found.beds }, csrf: 'fake-csrf' }, { 'set-cookie': `cotside_station=${found.session}; HttpOnly; SameSite=Strict; Path=/` }]
    }
    if (path === '/stations/self/receipts') {
      if (station === undefined) return [401, 'login-required']
      receipts.push({ ...body, at: Date.now(), current: body.nonce === nonce })
      return [200, { counts: body.visible && body.audio === 'running' && body.self_test === 'passed', why: body.audio === 'running' ? '' : 'it cannot sound' }]
    }
    const asked = /^\/stations\/pairing\/([^/]+)$/.exec(path)?.[1]
    if (asked !== undefined) return stations.has(asked) ? [200, { state: stations.get(asked).state === 'approved' ? 'approved' : 'waiting' }] : [404, 'not-found']
    if (path === '/stations' && request.method === 'GET') {
      return [200, [...stations.values()].map(({ id, code, name, state, beds }) => ({ id, code, name, state, beds, heard_ms: 400, why: '' }))]
    }
    const approval = /^\/stations\/([^/]+)\/approval$/.exec(path)?.[1]
    if (approval !== undefined) return stations.has(approval) ? (approve(approval, body.beds, body.name), [200, {}]) : [404, 'not-found']

    if (station === undefined && person === undefined) return undefined
    const acts = request.headers['x-acting'] === undefined ? undefined : JSON.parse(Buffer.from(request.headers['x-acting'], 'base64').toString())
    const by = person ?? (acts?.username === 'nurse' && (acts.password === 'nurse' || acts.pin === '1234') ? people.nurse : undefined)
    return acting(request, path, query, body, by)
  }

  function acting(request, path, query, body, by) {
    if (path === '/alarms') return [200, log(query)]
    const [, bed, episode, act] = /^\/alarms\/([^/]+)\/([^/]+)\/(acknowledgement|reset|responsibility)$/.exec(path) ?? []
    const whole = /^\/beds\/([^/]+)\/(audio-pause|standby|limits|patient|nurses)$/.exec(path) ?? []
    if (bed === undefined && whole[1] === undefined) return undefined
    const found = unit.beds.find((b) => b.id === (bed ?? whole[1]))
    if (found === undefined) return [404, 'not-found']
    if (whole[2] === 'limits' && request.method === 'GET') return [200, limitsOf(found)]
    if (by === undefined) return [401, 'bad-credentials']
    if (whole[2] === 'limits') return changeLimits(found, by, body)
    if (whole[2] === 'patient') return request.method === 'DELETE' ? (found.discharge(), [200, {}]) : (found.admit(body), [200, {}])
    if (mood.supersede) {
      mood.supersede = false
      found.worsen(episode)
      return [409, 'alarm-superseded']
    }
    if (act === 'responsibility') return found.responsibility(episode, body.answer, by), [200, {}]
    const what = act === 'acknowledgement' ? 'acknowledge' : act === 'reset' ? 'reset' : whole[2] === 'audio-pause' ? (request.method === 'DELETE' ? 'end-pause' : 'pause-audio') : request.method === 'DELETE' ? 'end-standby' : 'standby'
    const key = request.headers['idempotency-key']
    if (key !== undefined && commands.has(key)) return [202, commands.get(key)]
    const command = { command: randomBytes(8).toString('hex'), state: 'requested' }
    if (key !== undefined) commands.set(key, command)
    found.request(what, by, episode)
    if (!mood.deaf) setTimeout(() => found.apply(what, by, episode, body), SENT_MS)
    return [202, command]
  }

  // As a hub resolves them: the profile's own, what was changed, and how far the bed has come.
  function limitsOf(bed) {
    if (!limits.has(bed.id)) {
      const set = { version: 12, author: 'A. Berg', reason: 'admission', at_ms: bed.began - 7_200_000, limits: bed.limitRows() }
      const issue = ({ version, author, reason, at_ms }) => ({ version, author, reason, at_ms, profile: 'neonatal' })
      limits.set(bed.id, {
        state: 'in-force', words: '', version: 12, requested: set, accepted: 12, in_force: { version: 12, author: 'A. Berg', profile: 'neonatal' },
        circumstances: { gestational_age: { weeks: 26, days: 1 }, pma: { weeks: 29, days: 1 }, pma_of_limits: { weeks: 29, days: 1 }, oxygen: 'supplemental' },
        profile: { name: 'neonatal', title: 'Neonatal intensive care' }, deviations: [], age_step: null, history: [issue(set), { ...issue(set), version: 11, author: 'hub', reason: 'patient corrected', at_ms: bed.began - 90_000_000 }],
      })
    }
    return limits.get(bed.id)
  }

  function changeLimits(bed, by, body) {
    const now = limitsOf(bed)
    if (body.version !== now.version) return [409, 'limits-superseded']
    const before = now.requested.limits
    const lines = before.map((line) => {
      const wish = body.limits.find((w) => w.code === line.code && w.side === line.side && w.priority === line.priority)
      return wish === undefined ? line : { ...line, threshold: wish.threshold, changed: true, usual: line.usual ?? { threshold: line.threshold, delay_ms: line.delay_ms } }
    })
    const version = now.version + 1
    const set = { version, author: by, reason: body.reason, at_ms: Date.now(), limits: lines }
    Object.assign(now, { state: 'requested', version, requested: set, history: [{ version, author: by, reason: body.reason, at_ms: set.at_ms, profile: 'neonatal' }, ...now.history] })
    now.deviations = lines.filter((l) => l.changed).map((l) => `${l.label} ${l.side} ${l.threshold}, usual ${l.usual.threshold}`)
    setTimeout(() => Object.assign(now, { state: 'in-force', accepted: version, in_force: { version, author: by, profile: 'neonatal' } }), 8 * SENT_MS)
    return [200, now]
  }

  function log(query) {
    const now = Date.now()
    const rows = unit.beds.flatMap((bed) => bed.history(now))
    const wanted = rows.filter(
      (row) =>
        (query.get('bed') === null || query.get('bed') === '' || row.bed === query.get('bed')) &&
        (query.get('priority') === null || query.get('priority') === '' || row.priority === query.get('priority')) &&
        (query.get('state') === null || query.get('state') === '' || (row.ended_ms === null) === (query.get('state') === 'open')),
    )
    return { alarms: wanted.sort((a, b) => b.onset_ms - a.onset_ms).slice(0, 200), next: null }
  }

  return {
    answer,
    receipts,
    stations,
    approve: (beds, name) => [...stations.keys()].forEach((id) => stations.get(id).state === 'pending' && approve(id, beds, name)),
    autoApprove: () => (autoApprove = true),
    supersedeNext: () => (mood.supersede = true),
    deaf: (on) => (mood.deaf = on),
    // What was asked of this bed is confirmed now.
    confirm: (bed) => unit.beds.find((b) => b.id === bed).confirm(),
    isIn: (request) => stationOf(request) !== undefined,
    // What a tick carries besides the time.
    tick(now) {
      nonce = randomBytes(8).toString('hex')
      return { nonce, beats: Object.fromEntries(unit.beds.filter((b) => b.sends).map((b) => [b.id, Math.floor((now - b.began) / 1000) + 1])) }
    },
  }
}
