// A screen becomes a station of a real hub: it pairs, is approved on the hub's machine, counts for its beds, acknowledges an alarm and
// sees the bed confirm it. By environment: BASE_URL, HUB (the binary), CONFIG (its file), SHOT.

import { execFileSync } from 'node:child_process'
import { launch } from './chromium.mjs'

const { BASE_URL, HUB, CONFIG, SHOT } = process.env
const NURSE = 'nora'
const WITHIN_MS = Number(process.env.WITHIN_MS ?? 60_000)
const browser = await launch()

const hub = (...words) => execFileSync(HUB, [...words, '--config', CONFIG], { encoding: 'utf8' })

async function main() {
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, ignoreHTTPSErrors: true })
  const page = await context.newPage()
  page.setDefaultTimeout(WITHIN_MS)
  const faults = []
  const receipts = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('response', async (response) => {
    if (response.url().endsWith('/receipts')) receipts.push((await response.json().catch(() => ({}))).data)
  })
  // Who keeps the accounts answers no alarm: a nurse does.
  const password = /password:?\s+(\S+)/.exec(hub('users', 'add', NURSE, '--role', 'nurse'))?.[1] ?? ''
  await page.goto(`${BASE_URL}/?pair=1`)
  await page.click('.pairing button.great')
  const code = (await page.textContent('.code')).trim()
  console.log(hub('stations', 'approve', code, '--name', 'Desk A', '--all-beds').trim())
  await page.waitForSelector('.unit .tile')
  await page.waitForSelector('footer .sound[data-audio="running"]')
  await page.click('footer .sound')
  await page.click('.sheet .great:not([disabled])')
  await until(() => receipts.at(-1)?.counts === true, () => `the hub does not count it: ${JSON.stringify(receipts.at(-1))}`)
  console.log('its receipts count')
  await page.waitForFunction(() => !/NO STATION WATCHES THIS UNIT/.test(document.querySelector('.notices')?.textContent ?? ''))
  console.log('its beds are watched')

  // The first patient's alarm that flashes is acknowledged, and the bed says so.
  const bar = await page.waitForSelector('.tile .bar.flash[data-shows]')
  const [bed] = (await bar.getAttribute('data-shows')).split('/')
  await page.click(`.tile[data-bed="${bed}"]`)
  await page.waitForSelector('.focus .answers')
  const before = await page.textContent('.focus .bar')
  await page.keyboard.press('a')
  await page.fill('.sheet .two label:first-child input', NURSE)
  await page.fill('.sheet input[type=password]', password)
  await page.click('.sheet .great')
  await page.waitForFunction((name) => new RegExp(`ACK by ${name}`).test(document.querySelector('.focus')?.textContent ?? ''), NURSE).catch(async () => {
    throw new Error(`not acknowledged: ${(await page.textContent('.sheet .trouble[role=alert]').catch(() => '')) || (await page.textContent('.focus .answers'))}`)
  })
  console.log(`acknowledged at bed ${bed}, confirmed by its agent: ${before.trim()}`)
  for (const [key, selector, what] of [['l', '.limitlist tbody tr', 'limits'], ['h', '.review tbody tr', 'the alarms there were']]) {
    await page.keyboard.press(key)
    await page.waitForSelector(selector)
    console.log(`${what}: ${(await page.$$(selector)).length} lines`)
    await page.keyboard.press('Escape')
    await page.waitForSelector(selector, { state: 'detached' })
  }
  await page.keyboard.press('Escape')
  await page.waitForSelector('.unit .tile')
  if (SHOT !== undefined) await page.screenshot({ path: SHOT })
  if (faults.length > 0) throw new Error(`the page reported: ${faults.join(' | ')}`)
}

async function until(good, why) {
  const end = Date.now() + WITHIN_MS
  while (!good()) {
    if (Date.now() > end) throw new Error(why())
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

await main()
  .catch((error) => {
    console.error(`FAILED: ${error.message}`)
    process.exitCode = 1
  })
  .finally(() => browser.close())
