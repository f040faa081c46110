// The states a real hub does not show on demand, against the fake one: lost hub and return, ended session, hostile text,
// steady numbers under an alarm, flash rates as painted, keyboard.

import assert from 'node:assert/strict'
import { test, before, after } from 'node:test'
import { startFakeHub } from '../dev/fake-hub.mjs'
import { check } from './browser.mjs'
import { launch, signIn } from './chromium.mjs'

let browser
before(async () => void (browser = await launch()))
after(() => browser.close())

async function station(options, work) {
  const hub = await startFakeHub(options)
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } })
  const faults = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (m) => /Content Security Policy|TrustedHTML|TrustedScript/.test(m.text()) && faults.push(m.text()))
  try {
    await page.goto(hub.url)
    await signIn(page, 'nurse', 'nurse')
    await work(page, hub)
    assert.deepEqual(faults, [])
  } finally {
    await page.close()
    hub.close()
  }
}

test('eight beds live, one stale, one lost', async () => {
  const hub = await startFakeHub({ beds: 8 })
  try {
    await check({ baseUrl: hub.url, user: 'nurse', password: 'nurse', stale: ['06', '08'], say: () => {} })
  } finally {
    hub.close()
  }
})

test('a lost hub is said over everything at once, values age to nothing, and a return clears it', async () => {
  await station({ beds: 8 }, async (page, hub) => {
    await page.waitForSelector('.tile[data-bed="03"] .hr.fresh')
    hub.silence(true)
    await page.waitForSelector('.lostbanner', { timeout: 2_000 })
    assert.match((await page.textContent('.lostbanner')) ?? '', /NO CONNECTION TO HUB/)
    assert.equal(await page.$('.num.fresh:not(.none)'), null)
    await page.waitForSelector('.tile[data-bed="03"] .hr.gone', { timeout: 15_000 })
    assert.equal(await page.textContent('.tile[data-bed="03"] .hr .digits'), '-?-')
    hub.silence(false)
    await page.waitForSelector('.lostbanner', { state: 'detached', timeout: 20_000 })
    await page.waitForSelector('.tile[data-bed="03"] .hr.fresh')
  })
})

test('an ended session leaves no value on the screen and says that no bed is shown', async () => {
  await station({ beds: 8 }, async (page, hub) => {
    hub.expire()
    await page.waitForSelector('.login .ended', { timeout: 15_000 })
    assert.equal(await page.$('.tile'), null)
  })
})

test('text from outside stays text', async () => {
  await station({ beds: 1, hostile: true }, async (page) => {
    assert.equal(await page.textContent('.who'), '<img src=x onerror=alert(1)>')
    assert.equal(await page.$('.tile img'), null)
  })
})

test('high flashes at 2 Hz and medium at 0.5 Hz, in one phase on tile and strip', async () => {
  await station({ beds: 8 }, async (page) => {
    await page.waitForSelector('.bar.high.flash')
    const seen = await page.evaluate(async () => {
      const lit = (selector) => getComputedStyle(document.querySelector(selector)).backgroundColor !== 'rgba(0, 0, 0, 0)'
      const changes = { fast: 0, slow: 0, apart: 0 }
      let fast = lit('.bar.high')
      let slow = lit('.bar.medium')
      const end = performance.now() + 8_000
      while (performance.now() < end) {
        await new Promise(requestAnimationFrame)
        if (lit('.bar.high') !== lit('.chip.high')) changes.apart += 1
        if (lit('.bar.high') !== fast) changes.fast += 1
        if (lit('.bar.medium') !== slow) changes.slow += 1
        fast = lit('.bar.high')
        slow = lit('.bar.medium')
      }
      return changes
    })
    assert.equal(seen.apart, 0)
    assert.ok(Math.abs(seen.fast / 16 - 2) < 0.2, `high at ${seen.fast / 16} Hz`)
    assert.ok(Math.abs(seen.slow / 16 - 0.5) <= 0.07, `medium at ${seen.slow / 16} Hz`)
  })
})

test('a bed number opens the bed, Escape returns, ? helps', async () => {
  await station({ beds: 8 }, async (page) => {
    await page.keyboard.press('2')
    await page.waitForSelector('.focus .tile[data-bed="02"]')
    await page.keyboard.press('Escape')
    await page.waitForSelector('.unit > .tile[data-bed="02"]')
    await page.keyboard.press('?')
    await page.waitForSelector('dialog.help[open]')
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog.help', { state: 'detached' })
  })
})

test('a bed the console cannot draw says so alone, and comes back', async () => {
  await station({ beds: 4, calm: true }, async (page, hub) => {
    await page.waitForSelector('.tile[data-bed="02"] .hr.fresh')
    hub.spoil('02', true)
    await page.waitForSelector('.tile[data-bed="02"] .fault-tile')
    await page.waitForSelector('.tile[data-bed="03"] .hr.fresh')
    hub.spoil('02', false)
    await page.waitForSelector('.tile[data-bed="02"] .hr.fresh', { timeout: 10_000 })
  })
})
