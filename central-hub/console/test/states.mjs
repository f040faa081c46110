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

// Pixels of the trend's canvas that carry ink, by column.
const inked = (page) =>
  page.$eval('.chart canvas', (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let green = 0
    for (let i = 0; i < data.length; i += 4) if (data[i + 1] > 120 && data[i] < 100 && data[i + 2] < 140) green += 1
    return green
  })

test('T draws the trend, names its holes, and the cursor reads values and causes without a mouse', async () => {
  await station({ beds: 8 }, async (page) => {
    await page.keyboard.press('2')
    await page.waitForSelector('.focus')
    await page.keyboard.press('t')
    await page.waitForSelector('.trend .chart canvas')
    assert.ok((await inked(page)) > 500, 'the heart rate is drawn')
    const holes = await page.$$eval('.holes .what', (all) => all.map((what) => what.textContent))
    for (const words of ['gateway was off', 'cable out (ventilator)', 'waiting at the gateway', 'unexplained (monitor)']) assert.ok(holes.includes(words), words)
    await page.keyboard.press('ArrowLeft')
    await page.waitForSelector('.lane.ecg .reading b')
    assert.match((await page.getAttribute('.chart', 'aria-valuetext')) ?? '', /HR \d+, from \d+ to \d+/)
    await page.keyboard.press('g')
    await page.waitForSelector('.lane.ecg .reading.none')
    assert.equal(await page.textContent('.at .cause'), 'waiting at the gateway')
    assert.match((await page.getAttribute('.chart', 'aria-valuetext')) ?? '', /HR waiting at the gateway/)
    await page.keyboard.press('v')
    await page.waitForSelector('.trendtable tbody tr')
    await page.keyboard.press('Escape')
    await page.waitForSelector('.focus')
  })
})

test('a trend that cannot be had anew is grey and says so, and lights up again', async () => {
  await station({ beds: 4 }, async (page, hub) => {
    await page.keyboard.press('2')
    await page.keyboard.press('t')
    await page.waitForSelector('.plot:not(.old)')
    hub.muteRecord(true)
    // Another stretch is asked for at once; what stands on the screen is still the former.
    await page.keyboard.press('-')
    await page.waitForSelector('.plot.old .oldwords')
    assert.match((await page.textContent('.oldwords')) ?? '', /OLD PICTURE.*as of \d\d:\d\d:\d\d.*could not read/)
    assert.match(await page.$eval('.plot.old .chart', (chart) => getComputedStyle(chart).filter), /grayscale/)
    hub.muteRecord(false)
    await page.waitForSelector('.plot:not(.old)', { timeout: 10_000 })
  })
})

test('a trend that was never had is words, not an empty picture', async () => {
  await station({ beds: 4 }, async (page, hub) => {
    hub.muteRecord(true)
    await page.keyboard.press('2')
    await page.keyboard.press('t')
    await page.waitForSelector('.trend .trouble')
    assert.equal(await page.$('.chart'), null)
  })
})

test('names of devices stay text in trend and completeness', async () => {
  await station({ beds: 1, hostile: true }, async (page) => {
    await page.keyboard.press('1')
    await page.keyboard.press('t')
    await page.waitForSelector('.gutter .from')
    assert.match((await page.textContent('.holes')) ?? '', /<b onmouseover=alert\(1\)>monitor<\/b>/)
    await page.keyboard.press('c')
    await page.waitForSelector('.record .cell')
    await page.keyboard.press('ArrowDown')
    await page.waitForSelector('.beside .device')
    assert.match((await page.textContent('.beside')) ?? '', /<b onmouseover=alert\(1\)>monitor<\/b>/)
    assert.equal(await page.$('[onmouseover]'), null)
  })
})

test('C shows every bed and day, and what is unexplained stands out in words', async () => {
  await station({ beds: 8 }, async (page) => {
    await page.keyboard.press('c')
    await page.waitForSelector('.record .cell.full')
    assert.equal((await page.$$('.record tbody tr')).length, 8)
    assert.equal((await page.$$('.record tbody tr:first-child .cell')).length, 7)
    assert.match((await page.textContent('.cell.unexplained')) ?? '', /!.*unexplained/)
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    await page.waitForSelector('.beside .device .unexplained')
    assert.match((await page.textContent('.beside')) ?? '', /UNEXPLAINED/)
    await page.keyboard.press('Escape')
    await page.waitForSelector('.unit > .tile')
  })
})
