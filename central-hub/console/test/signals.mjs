// The alarm signals as they come out: flashing from the pixels of rendered frames, sound from the buffers of an OfflineAudioContext,
// beside the windows of IEC 60601-1-8 as far as public sources quote them. Exits 1 when one is outside: `npm run signals`.

import { build } from 'vite'
import { startFakeHub } from '../dev/fake-hub.mjs'
import { launch } from './chromium.mjs'
import { pixels } from './pixels.mjs'
import { becomeStation } from './station.mjs'

const SECONDS = Number(process.argv[2] ?? 16)
const browser = await launch()
let outside = 0

function say(what, seen, least, most) {
  const values = [seen].flat()
  const good = values.length > 0 && values.every((v) => v >= least && v <= most)
  if (!good) outside += 1
  const round = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Number(v.toFixed(2)))
  const few = [...new Set(values.map((v) => String(round(v))))].join(' ')
  console.log(`  ${what.padEnd(44)} ${few.padEnd(30)} ${`${round(least)} to ${most === Infinity ? '…' : round(most)}`.padEnd(16)} ${good ? 'ok' : 'OUTSIDE'}`)
}

// ---- what is seen

async function seen() {
  const hub = await startFakeHub({ beds: 8 })
  const page = await (await browser.newContext({ viewport: { width: 1920, height: 1080 } })).newPage()
  await becomeStation(page, hub)
  await page.waitForSelector('.sheet', { state: 'detached' })
  await page.waitForSelector('.chip.medium.flash')
  const places = await page.evaluate(() =>
    Object.fromEntries(
      [['high, strip', '.chip.lead.high'], ['high, tile', '.tile[data-bed="02"] .bar.high'], ['medium, strip', '.chip.medium'], ['medium, tile', '.tile[data-bed="04"] .bar.medium'], ['low, tile', '.tile[data-bed="06"] .bar.low']].map(([name, selector]) => {
        const box = document.querySelector(selector).getBoundingClientRect()
        // Inside the edge, beside the words.
        return [name, { x: box.left + 7, y: box.top + box.height / 2 }]
      }),
    ),
  )
  // The compositor's own frames, each with the time at which it was shown; half the size is enough for one colour.
  const frames = []
  const cast = await page.context().newCDPSession(page)
  cast.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    cast.send('Page.screencastFrameAck', { sessionId }).catch(() => undefined)
    frames.push({ at: metadata.timestamp * 1000, png: Buffer.from(data, 'base64') })
  })
  await cast.send('Page.startScreencast', { format: 'png', maxWidth: 960, maxHeight: 540, everyNthFrame: 1 })
  await page.waitForTimeout(SECONDS * 1000)
  await cast.send('Page.stopScreencast')
  frames.sort((a, b) => a.at - b.at)
  for (const frame of frames) {
    const at = pixels(frame.png)
    frame.light = Object.fromEntries(Object.entries(places).map(([name, { x, y }]) => [name, at(x / 2, y / 2).reduce((a, b) => a + b, 0) > 100]))
  }
  const span = (frames.at(-1).at - frames[0].at) / 1000
  console.log(`seen: ${frames.length} rendered frames in ${span.toFixed(1)} s`)
  const windows = { high: [1.4, 2.8], medium: [0.4, 0.8] }
  for (const name of Object.keys(places)) {
    const on = frames.map((f) => f.light[name])
    const changes = on.filter((lit, i) => i > 0 && lit !== on[i - 1]).length
    // Each frame stands for the time around it: a slow screenshot does not count for less.
    const weight = frames.map((f, i) => ((frames[i + 1]?.at ?? f.at) - (frames[i - 1]?.at ?? f.at)) / 2)
    const lit = weight.reduce((sum, w, i) => sum + (on[i] ? w : 0), 0) / weight.reduce((a, b) => a + b, 0)
    const [priority] = name.split(',')
    if (priority === 'low') {
      say(`${name}: share of time lit, %`, lit * 100, 100, 100)
      continue
    }
    say(`${name}: flashes, Hz`, changes / 2 / span, ...windows[priority])
    say(`${name}: share of time lit, %`, lit * 100, 20, 60)
  }
  for (const priority of ['high', 'medium']) {
    const apart = frames.filter((f) => f.light[`${priority}, strip`] !== f.light[`${priority}, tile`]).length
    say(`${priority}: frames in which strip and tile differ`, apart, 0, 0)
  }
  await page.context().close()
  hub.close()
}

// ---- what is heard

async function heard() {
  const bundle = await build({
    configFile: false,
    logLevel: 'warn',
    build: { write: false, minify: false, lib: { entry: 'test/offline.ts', formats: ['iife'], name: 'signals' } },
  })
  const code = [bundle].flat()[0].output[0].code
  const page = await browser.newPage()
  await page.goto('about:blank')
  const tones = await page.evaluate(`(async () => { ${code}; return signals.measured(48000) })()`)
  for (const { tone, rows } of tones) {
    console.log(`heard: ${tone} priority, from the rendered buffer`)
    for (const row of rows) say(row.what, row.seen, row.least, row.most ?? Infinity)
  }
  await page.close()
}

await heard()
await seen()
await browser.close()
if (outside > 0) {
  console.error(`${outside} measured values are outside their windows`)
  process.exitCode = 1
}
