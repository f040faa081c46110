// Pictures of every state a person should look at before a change of the look lands: `npm run shots -- OUTDIR`.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { launch, signIn } from './chromium.mjs'
import { startFakeHub } from '../dev/fake-hub.mjs'
import { becomeStation } from './station.mjs'

const out = process.argv[2] ?? 'shots'
const only = process.argv[3]?.split(',')
mkdirSync(out, { recursive: true })
const browser = await launch()

async function shot(name, options, prepare = async () => {}) {
  if (only !== undefined && !only.includes(name)) return
  const hub = await startFakeHub(options)
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 }, ...options.page })
  page.on('console', (m) => m.type() === 'error' && console.log(`${name}: ${m.text()}`))
  page.on('pageerror', (e) => console.log(`${name}: ${e}`))
  await page.goto(hub.url)
  await prepare(page, hub)
  // Both flash phases lit, so that pictures of two versions can be laid side by side.
  await page.waitForFunction(() => document.documentElement.dataset.on === 'fast slow')
  await page.screenshot({ path: join(out, `${name}.png`) })
  console.log(join(out, `${name}.png`))
  await page.close()
  hub.close()
}

const settled = async (page, hub, ms = 7000) => {
  await signIn(page, 'nurse', 'nurse')
  await page.waitForTimeout(ms)
}

await shot('login', { beds: 8 })
await shot('unit-8', { beds: 8 }, settled)
await shot('unit-1', { beds: 1 }, settled)
await shot('unit-4', { beds: 4 }, settled)
await shot('unit-12', { beds: 12 }, settled)
await shot('unit-16', { beds: 16 }, settled)
await shot('unit-32', { beds: 32 }, settled)
await shot('unit-8-720p', { beds: 8, page: { viewport: { width: 1280, height: 720 } } }, settled)
await shot('unit-8-phone', { beds: 8, page: { viewport: { width: 412, height: 915 } } }, settled)
await shot('unit-32-4k', { beds: 32, page: { deviceScaleFactor: 2 } }, settled)
await shot('focus', { beds: 8 }, async (page, hub) => {
  await settled(page, hub, 2000)
  await page.keyboard.press('2')
  await page.waitForTimeout(7000)
})
for (const [name, keys] of [['trend', ['ArrowLeft', 'g']], ['trend-1h', ['+', '+']], ['trend-24h', ['-']], ['trend-table', ['v']]]) {
  await shot(name, { beds: 8 }, async (page, hub) => {
    await settled(page, hub, 2000)
    for (const key of ['2', 't', ...keys]) await page.keyboard.press(key)
    await page.waitForTimeout(1500)
  })
}
await shot('completeness', { beds: 8 }, async (page, hub) => {
  await settled(page, hub, 2000)
  for (const key of ['c', 'ArrowDown', 'ArrowDown']) {
    await page.keyboard.press(key)
    await page.waitForTimeout(800)
  }
})
await shot('hub-lost', { beds: 8 }, async (page, hub) => {
  await settled(page, hub, 5000)
  hub.silence(true)
  await page.waitForTimeout(6000)
})
await shot('expired', { beds: 8 }, async (page, hub) => {
  await settled(page, hub, 2000)
  hub.expire()
  await page.waitForTimeout(2500)
})
await shot('help', { beds: 8 }, async (page, hub) => {
  await settled(page, hub, 2000)
  await page.keyboard.press('?')
  await page.waitForTimeout(500)
})
// What only a station shows. Each page is a context of its own, with a key of its own.
const paired = async (page, hub) => {
  await becomeStation(page, hub)
  await page.waitForTimeout(3000)
}
await shot('pairing', { beds: 8 }, async (page, hub) => {
  await page.goto(`${hub.url}/?pair=1`)
  await page.click('.pairing button.great')
  await page.waitForSelector('.code')
})
await shot('station-12', { beds: 12 }, paired)
await shot('station-calm', { beds: 8, calm: true }, paired)
for (const [name, keys] of [['station-bed', ['4']], ['station-acknowledge', ['4', 'a']], ['station-pause', ['4', 'p']], ['limits', ['2', 'l']], ['admission', ['2', 'm']], ['alarms', ['h', 'ArrowDown', 'ArrowDown']]]) {
  await shot(name, { beds: 12 }, async (page, hub) => {
    await paired(page, hub)
    for (const key of keys) {
      await page.keyboard.press(key)
      await page.waitForTimeout(400)
    }
    await page.waitForTimeout(800)
  })
}
await shot('station-hub-lost', { beds: 8 }, async (page, hub) => {
  await paired(page, hub)
  hub.silence(true)
  await page.waitForTimeout(6000)
})
await browser.close()
