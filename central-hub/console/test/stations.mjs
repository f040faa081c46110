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

// Who acts, in the open sheet.
async function say(page, pin) {
  await page.fill('.sheet .two label:first-child input', 'nurse')
  await page.fill('.sheet input[type=password]', pin)
  await page.keyboard.press('Enter')
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

test('A acknowledges after name and PIN, shows it as sent until the bed confirms, and then who did it', async () => {
  await station({ beds: 4 }, async (page, hub) => {
    await page.keyboard.press('4')
    await page.keyboard.press('a')
    await page.waitForSelector('.sheet')
    assert.match((await page.textContent('.sheet')) ?? '', /Acknowledge.*04.*HR 204 > 200/)
    hub.people.deaf(true)
    await say(page, '9999')
    await page.waitForFunction(() => /wrong/.test(document.querySelector('.sheet .trouble[role=alert]')?.textContent ?? ''))
    await say(page, '1234')
    await page.waitForSelector('.sheet', { state: 'detached' })
    await page.waitForFunction(() => /ACK SENT by K. Lund/.test(document.querySelector('.focus .bar')?.textContent ?? ''))
    assert.ok(await page.$('.focus .bar.flash'), 'what is only sent still flashes')
    hub.people.deaf(false)
    hub.people.confirm('04')
    await page.waitForFunction(() => /ACK by K. Lund \d\d:\d\d/.test(document.querySelector('.focus .bar.solid')?.textContent ?? ''))
  })
})

test('an acknowledgement of what has got worse meanwhile is refused, and the newer state must be seen first', async () => {
  await station({ beds: 4 }, async (page, hub) => {
    await page.keyboard.press('4')
    await page.keyboard.press('a')
    await page.waitForSelector('.sheet')
    hub.people.supersedeNext()
    await say(page, '1234')
    await page.waitForFunction(() => /newer state/.test(document.querySelector('.sheet')?.textContent ?? ''))
    await page.waitForSelector('.sheet button.great[disabled]')
    await page.click('.sheet .trouble .act')
    await page.fill('.sheet input[type=password]', '1234')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.sheet', { state: 'detached' })
    await page.waitForSelector('.focus .bar.solid')
  })
})

test('P pauses the sound of one bed: solid, counting down, said in the banner, and ended again', async () => {
  await station({ beds: 4 }, async (page, hub) => {
    await until(() => hub.people.receipts.at(-1)?.sounding === 'high', 'nothing sounds')
    await page.keyboard.press('2')
    await page.keyboard.press('p')
    await page.waitForSelector('.sheet')
    await say(page, '1234')
    await page.waitForFunction(() => /AUDIO PAUSED 02 1:5\d|AUDIO PAUSED 02 2:00/.test(document.querySelector('.notices')?.textContent ?? ''))
    await page.waitForSelector('.focus .bar.solid .sign')
    // Bed 04 is medium and not paused: it is heard now.
    await until(() => hub.people.receipts.at(-1)?.sounding === 'medium', 'the next highest does not sound')
  })
})

test('everything a finger must hit to answer is a centimetre tall', async () => {
  await station({ beds: 4 }, async (page) => {
    await page.keyboard.press('2')
    await page.waitForSelector('.answers .act')
    const mm = await page.$$eval('.answers .act, .ways .act', (all) => all.map((e) => (e.getBoundingClientRect().height * 25.4) / 96))
    assert.ok(Math.min(...mm) >= 10, `${Math.min(...mm).toFixed(1)} mm`)
  })
})

test('limits show what is in force beside what was asked for, and need a reason', async () => {
  await station({ beds: 4 }, async (page) => {
    await page.keyboard.press('2')
    await page.keyboard.press('l')
    await page.waitForSelector('.limitlist td')
    await page.click('.head .strong')
    await page.fill('input[aria-label="SpO2 low medium"]', '88')
    assert.ok(await page.$('button.great[disabled]'), 'no reason, no change')
    await page.fill('.form .reason', 'target 88 to 95')
    await page.fill('.two label:first-child input', 'nurse')
    await page.fill('.two input[type=password]', '1234')
    await page.click('.form button.great')
    await page.waitForFunction(() => /ASKED FOR.*set 13/.test(document.querySelector('.where3')?.textContent ?? ''))
    await page.waitForFunction(() => /in force.*set 13/.test(document.querySelector('.where3')?.textContent ?? ''))
  })
})

test('the life of an alarm is told from onset to end', async () => {
  await station({ beds: 4 }, async (page) => {
    await page.keyboard.press('h')
    await page.waitForSelector('.review tbody tr')
    const all = (await page.$$('.review tbody tr')).length
    await page.click('.head .filter .act:has-text("ended")')
    await page.waitForFunction((n) => document.querySelectorAll('.review tbody tr').length < n, all)
    assert.match((await page.textContent('.life')) ?? '', /raised at the bed.*first on a screen at Desk A.*first sounded.*acknowledged by K. Lund at Desk A.*ended/)
  })
})

test('where the browser holds sound back the screen says so over everything, does not count, and one touch starts it', async () => {
  const strict = await launch('--autoplay-policy=document-user-activation-required')
  const hub = await startFakeHub({ beds: 2 })
  try {
    const context = await strict.newContext({ viewport: { width: 1920, height: 1080 } })
    const paired = await context.newPage()
    await becomeStation(paired, hub)
    await paired.close()
    const page = await context.newPage()
    // Playwright looks at pages as if a person had touched them; this session does not.
    const devtools = await context.newCDPSession(page)
    const text = async (selector) => (await devtools.send('Runtime.evaluate', { expression: `document.querySelector('${selector}')?.textContent ?? ''` })).result.value
    await devtools.send('Page.navigate', { url: hub.url })
    await until(async () => /Start monitoring/.test(await text('.overlay')), 'nothing asks for a touch')
    assert.match(await text('.overlay'), /silent until somebody touches it.*supplements the alarms/)
    assert.match(await text('.notices'), /SOUND OFF.*does not count as a station/)
    const from = hub.people.receipts.length
    await until(() => hub.people.receipts.length > from + 1, 'no receipts')
    assert.deepEqual([hub.people.receipts.at(-1).audio, hub.people.receipts.at(-1).sounding], ['suspended', 'none'])
    await page.click('.overlay .great')
    await page.click('.sheet .great:not([disabled])')
    await until(() => hub.people.receipts.at(-1).audio === 'running' && hub.people.receipts.at(-1).sounding === 'high', 'it does not sound')
    await page.waitForFunction(() => !/SOUND OFF/.test(document.body.textContent ?? ''))
  } finally {
    await strict.close()
    hub.close()
  }
})

test('a page that is hidden says so at once and proves no bed', async () => {
  await station({ beds: 2 }, async (page, hub) => {
    await until(() => '02' in (hub.people.receipts.at(-1)?.beats ?? {}), 'nothing was proved')
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await until(() => hub.people.receipts.at(-1).visible === false, 'it is still called visible')
    assert.deepEqual(hub.people.receipts.at(-1).beats, {})
  })
})

test('a page that hangs sounds by itself: the audio clock does what nobody took back', async () => {
  await station({ beds: 2, calm: true }, async (page, hub) => {
    await until(() => hub.people.receipts.at(-1)?.sounding === 'none', 'a calm unit sounds')
    await page.waitForTimeout(1_500)
    await page.evaluate(() => {
      const end = performance.now() + 6_600
      while (performance.now() < end);
    })
    await page.waitForSelector('footer .sound[data-hung*="sounded"]', { timeout: 5_000 })
  })
})

test('hostile text stays text in sheets, limits, admission and the alarms there were', async () => {
  await station({ beds: 4, hostile: true }, async (page) => {
    await page.keyboard.press('4')
    await page.keyboard.press('a')
    await page.waitForSelector('.sheet')
    assert.match((await page.textContent('.sheet')) ?? '', /<img src=x onerror=alert\(1\)>/)
    await page.keyboard.press('Escape')
    await page.waitForSelector('.sheet', { state: 'detached' })
    for (const [key, seen] of [['l', '.limitlist td'], ['m', '.form input'], ['h', '.review tbody tr']]) {
      await page.keyboard.press(key)
      await page.waitForSelector(seen)
      assert.equal(await page.$('#app img, #app [onerror]'), null)
      await page.keyboard.press('Escape')
      await page.waitForSelector(seen, { state: 'detached' })
    }
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
