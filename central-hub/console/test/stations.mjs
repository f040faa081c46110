// A paired station against the fake hub: its key, its receipts, its voice, and what it says when it has none.

import assert from 'node:assert/strict'
import { test, before, after } from 'node:test'
import { startFakeHub } from '../dev/fake-hub.mjs'
import { launch, signIn } from './chromium.mjs'
import { becomeStation } from './station.mjs'

let browser
before(async () => void (browser = await launch()))
after(() => browser.close())

async function station(options, work) {
  const hub = await startFakeHub(options)
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 } })
  const page = await context.newPage()
  const faults = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (m) => /Content Security Policy|TrustedHTML|TrustedScript/.test(m.text()) && faults.push(m.text()))
  try {
    await becomeStation(page, hub)
    await work(page, hub, context)
    assert.deepEqual(faults, [])
  } finally {
    await context.close()
    hub.close()
  }
}

async function until(look, why, within = 15_000) {
  const end = Date.now() + within
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (Date.now() > end) throw new Error(why)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a station proves each second with the fresh nonce what it painted and that it sounds', async () => {
  await station({ beds: 8 }, async (page, hub) => {
    const from = hub.people.receipts.length
    await until(() => hub.people.receipts.length >= from + 3, 'no receipts')
    const [receipt] = hub.people.receipts.slice(-1)
    assert.equal(receipt.current, true)
    assert.deepEqual(Object.keys(receipt.beats).sort(), ['01', '02', '03', '04', '05', '06'])
    assert.deepEqual([receipt.audio, receipt.sounding, receipt.visible, receipt.self_test], ['running', 'high', true, 'passed'])
    const apart = hub.people.receipts.slice(-3).map((r) => r.at)
    assert.ok(Math.abs((apart[2] - apart[0]) / 2 - 1000) < 300, `${apart}`)
  })
})

test('the key stays in the browser, cannot be read, and lets the station in again after a reload', async () => {
  await station({ beds: 4, calm: true }, async (page, hub) => {
    await page.reload()
    await page.waitForSelector('.unit .tile')
    assert.match((await page.textContent('footer')) ?? '', /station Desk A/)
    const kept = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('cotside-station')
          opening.onsuccess = () => {
            const asked = opening.result.transaction('identity').objectStore('identity').get('self')
            asked.onsuccess = () => resolve(crypto.subtle.exportKey('pkcs8', asked.result.keys.privateKey).then(() => 'exported', (error) => error.name))
          }
        }),
    )
    assert.equal(kept, 'InvalidAccessError')
    assert.equal(hub.people.stations.size, 1)
  })
})

test('a bed whose alarm is not on the page is in no receipt', async () => {
  await station({ beds: 8 }, async (page, hub) => {
    await until(() => '04' in (hub.people.receipts.at(-1)?.beats ?? {}), 'bed 04 was never proved')
    await page.evaluate(() => {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync('[data-bed="04"] .bar, .chip.medium { display: none !important }')
      document.adoptedStyleSheets = [sheet]
    })
    await until(() => !('04' in hub.people.receipts.at(-1).beats), 'bed 04 is still proved')
    assert.ok('02' in hub.people.receipts.at(-1).beats)
  })
})

test('a lost hub is sounded by the page itself, and the beds have a voice again when it returns', async () => {
  await station({ beds: 2, calm: true }, async (page, hub) => {
    await until(() => hub.people.receipts.at(-1)?.sounding === 'none', 'a calm unit sounds')
    hub.silence(true)
    await page.waitForSelector('.lostbanner')
    await page.waitForSelector('footer .sound[data-sounding="high"]', { timeout: 10_000 })
    hub.silence(false)
    await page.waitForSelector('.lostbanner', { state: 'detached', timeout: 20_000 })
    await page.waitForSelector('footer .sound[data-sounding="none"]', { timeout: 10_000 })
  })
})

test('a page without a station’s key says that it is a remote view and gives no receipts', async () => {
  const hub = await startFakeHub({ beds: 4 })
  const page = await browser.newPage()
  try {
    await page.goto(hub.url)
    await signIn(page, 'nurse', 'nurse')
    await page.waitForSelector('.tile[data-bed="02"] .bar')
    assert.match((await page.textContent('footer')) ?? '', /REMOTE VIEW.*NOT FOR ALARM SURVEILLANCE/)
    assert.match((await page.textContent('.brand')) ?? '', /REMOTE VIEW/)
    assert.equal(hub.people.receipts.length, 0)
  } finally {
    await page.close()
    hub.close()
  }
})
