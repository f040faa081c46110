// The fake hub's record: hours of made-up readings with every kind of hole, as functions of the wall time.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

// The same minute always has the same noise.
const noise = (seed, minute) => {
  const x = Math.sin(seed * 127.1 + minute * 311.7) * 43758.5453
  return x - Math.floor(x)
}

const PARAMETERS = [
  { code: 147842, label: 'HR', ucum: '{beats}/min', device: 'monitor', base: 148, sway: 9, spread: 6 },
  { code: 150456, label: 'SpO2', ucum: '%', device: 'monitor', base: 93.5, sway: 1.5, spread: 2, most: 100 },
  { code: 150456, label: 'SpO2', site: 'preductal', ucum: '%', device: 'oximeter', base: 94, sway: 1.5, spread: 2, most: 100 },
  { code: 151578, label: 'RR', ucum: '{breaths}/min', device: 'monitor', base: 48, sway: 8, spread: 11 },
  { code: 150035, label: 'ART mean', ucum: 'mm[Hg]', device: 'monitor', base: 34, sway: 3, spread: 2 },
  { code: 150388, label: 'Temp skin', ucum: 'Cel', device: 'monitor', base: 36.8, sway: 0.2, spread: 0.05, digits: 1 },
  { code: 151920, label: 'FiO2', ucum: '%', device: 'ventilator', base: 28, sway: 3, spread: 0.5 },
]

// Hours before now: from, to, cause, device (null: the whole bed).
const HOLES = {
  desaturating: [[9.4, 8.95, 'cable-out', 'ventilator'], [6.2, 5.1, 'agent-down', null], [3.02, 2.99, 'clock-step', null], [2.2, 2.05, 'undecodable', 'monitor'], [0.75, 0.4, 'waiting', null], [1.7, 1.58, 'unexplained', 'monitor']],
  lost: [[1.4, 0, 'not-heard', null]],
  late: [[7, 6.7, 'device-silent', 'ventilator'], [0.2, 0, 'device-silent', 'ventilator'], [20, 14, 'dropped-by-policy', null]],
}

export function record(story, index, hostile) {
  const named = (device) => (hostile && device === 'monitor' ? '<b onmouseover=alert(1)>monitor</b>' : device)
  const began = Date.now()
  // Holes stay where they were when the hub began.
  const holes = (HOLES[story] ?? (index % 3 === 0 ? [[5.2, 5.12, 'cable-out', 'monitor']] : [])).map(([from, to, cause, device]) => ({
    from_ms: began - from * HOUR, to_ms: to === 0 ? Infinity : began - to * HOUR, cause, lane: 'numeric',
    link: device === null ? null : ['monitor', 'oximeter', 'ventilator'].indexOf(device), device: device === null ? null : named(device), count: null,
  }))
  const gaps = (from, to) =>
    holes.filter((gap) => gap.from_ms < to && gap.to_ms > from).map((gap) => ({ ...gap, from_ms: Math.max(from, gap.from_ms), to_ms: Math.min(to, gap.to_ms) })).sort((a, b) => a.from_ms - b.from_ms)
  const covered = (device, from, to) =>
    holes.filter((gap) => gap.device === null || gap.device === device).reduce((sum, gap) => sum + Math.max(0, Math.min(to, gap.to_ms) - Math.max(from, gap.from_ms)), 0)

  const minute = (p, seed, m) => {
    const slow = Math.sin(m / 47 + seed) + 0.6 * Math.sin(m / 13 + seed * 2)
    const dip = noise(seed + 3, Math.floor(m / 31)) > 0.72 && m % 31 < 4 ? (p.code === 150456 ? -14 : p.code === 147842 ? -38 : 0) * noise(seed + 5, m) : 0
    const mean = p.base + index * 0.4 + slow * p.sway + dip / 3
    const low = mean - p.spread * (0.4 + noise(seed, m)) + dip
    return [low, mean, mean + p.spread * (0.4 + noise(seed + 1, m))].map((v) => Number(Math.min(p.most ?? Infinity, v).toFixed(p.digits ?? 0)))
  }

  return {
    trends(codes, from, to, resolution) {
      const step = resolution * 1000
      const trends = PARAMETERS.filter((p) => codes.includes(p.code)).map((p, i) => {
        const device = named(p.device)
        const points = []
        for (let at = Math.floor(from / step) * step; at < Math.min(to, Date.now()); at += step) {
          const there = Math.min(at + step, Date.now()) - at - covered(device, at, Math.min(at + step, Date.now()))
          // A probe that is off an hour a day: no hole in the record, and no reading.
          if (there <= 0 || (p.code === 151578 && Math.floor(at / HOUR) % 24 === 3)) continue
          const thin = p.code === 150035 && Math.floor(at / HOUR) % 8 === 5 ? 0.3 : 1
          const all = Array.from({ length: resolution / 60 }, (_, k) => minute(p, i + index, Math.floor(at / MINUTE) + k))
          const min = Math.min(...all.map((v) => v[0]))
          const max = Math.max(...all.map((v) => v[2]))
          const mean = all.reduce((sum, v) => sum + v[1], 0) / all.length
          points.push([at, min, mean, max, Math.round((there / 1000) * thin), (there / step) * thin])
        }
        return { code: p.code, label: p.label, name: p.label, site: p.site ?? null, device, ucum: p.ucum, points }
      })
      return { from_ms: from, to_ms: to, resolution_s: resolution, since_ms: null, trends, gaps: gaps(from, to) }
    },
    gaps: (from, to) => ({ from_ms: from, to_ms: to, gaps: gaps(from, to) }),
    day(day) {
      const from = Date.parse(`${day}T00:00:00Z`)
      const to = Math.min(from + DAY, Date.now())
      // Beds got their gateways one after another.
      const expected = story === 'available' || began - from > (6 - (index % 3)) * DAY ? 0 : Math.max(0, Math.round((to - from) / 1000))
      const lanes = ['monitor', 'oximeter', 'ventilator'].flatMap((device, link) =>
        ['alarm', 'numeric', 'waveform'].map((lane) => {
          const parts = books(holes.filter((gap) => gap.device === null || gap.device === named(device)), from, to, expected)
          return { lane, link, device: named(device), ...parts }
        }),
      )
      return { day, expected_s: expected, lanes, whole: books(holes, from, to, expected) }
    },
  }
}

function books(holes, from, to, expected) {
  const missing = {}
  let waiting = 0
  let unexplained = 0
  for (const gap of holes) {
    const seconds = Math.max(0, Math.round((Math.min(to, gap.to_ms) - Math.max(from, gap.from_ms)) / 1000))
    if (seconds === 0 || expected === 0) continue
    if (gap.cause === 'waiting' || gap.cause === 'not-heard') waiting += seconds
    else if (gap.cause === 'unexplained') unexplained += seconds
    else missing[gap.cause] = (missing[gap.cause] ?? 0) + seconds
  }
  const gone = Object.values(missing).reduce((sum, s) => sum + s, 0)
  return { received_s: Math.max(0, expected - gone - waiting - unexplained), missing, waiting_s: waiting, unexplained_s: unexplained }
}
