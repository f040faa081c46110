// The trend and the completeness of a bed at a real hub, after something went missing there. All by environment:
//   BASE_URL, USER or COTSIDE_USER, PASSWORD: whom to sign in as
//   BED=03        whose trend
//   CAUSE=...     the words of the hole that must be on it
//   SHOT=trend.png where to save a picture of the trend (RECORD_SHOT: of the completeness)
//   WITHIN_MS=90000 how long it may take until hole and values are there
// Prints what it saw; exits 1 at the first thing that is not so.

import { launch, signIn } from './chromium.mjs'

const env = process.env
const bed = env.BED ?? '03'
const cause = env.CAUSE ?? 'gateway was off'
const within = Number(env.WITHIN_MS ?? 90_000)

const browser = await launch()
try {
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } })
  const faults = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (m) => m.type() === 'error' && !m.text().includes('401') && faults.push(m.text()))
  await page.goto(env.BASE_URL ?? 'http://127.0.0.1:8080')
  await signIn(page, env.COTSIDE_USER ?? env.USER ?? '', env.PASSWORD ?? '')

  for (const key of [...String(Number(bed)), 't', '+', '+']) await page.keyboard.press(key)
  await page.waitForSelector('.trend .chart canvas')
  await page.waitForFunction((words) => [...document.querySelectorAll('.holes .what')].some((hole) => hole.textContent.startsWith(words)), cause, { timeout: within })
  console.log(`bed ${bed}: ${await page.$$eval('.holes li', (all) => all.map((li) => li.textContent).join('; '))}`)

  // Values come back after the hole: the page asks again by itself, and the last buckets have them.
  const reading = async () => (await page.getAttribute('.chart', 'aria-valuetext')) ?? ''
  const hasValue = async () => {
    await page.keyboard.press('End')
    for (let bucket = 0; bucket < 3; bucket++) {
      if (/HR \d+, from \d+ to \d+/.test(await reading())) return true
      await page.keyboard.press('ArrowLeft')
    }
    return false
  }
  const end = Date.now() + within
  while (!(await hasValue())) {
    if (Date.now() > end) throw new Error(`no value after the hole: ${await reading()}`)
    await page.waitForTimeout(1_000)
  }
  if ((await page.$('.plot.old')) !== null) throw new Error('the picture is old beside a living hub')
  console.log(`after it: ${await reading()}`)
  await page.keyboard.press('g')
  const at = await reading()
  if (!at.includes(cause)) throw new Error(`the cursor does not name the hole: ${at}`)
  await page.keyboard.press('v')
  const rows = await page.$$eval('.trendtable tbody td', (cells) => cells.filter((cell) => /\d+ \(/.test(cell.textContent)).length)
  if (rows === 0) throw new Error('the table has no values')
  await page.keyboard.press('v')
  if (env.SHOT !== undefined) await page.screenshot({ path: env.SHOT })

  await page.keyboard.press('c')
  await page.waitForSelector('.record .cell:not(.none)')
  const unexplained = await page.$$eval('.cell.unexplained', (cells) => cells.map((cell) => cell.getAttribute('aria-label')))
  if (unexplained.length > 0) throw new Error(`unexplained: ${unexplained.join('; ')}`)
  console.log(`completeness: ${await page.$$eval('.cell:not(.none)', (cells) => cells.map((cell) => cell.getAttribute('aria-label')).join('; '))}`)
  if (env.RECORD_SHOT !== undefined) {
    await page.click(`.cell[data-bed="${bed}"]:not(.none)`)
    await page.waitForSelector('.beside .device')
    await page.screenshot({ path: env.RECORD_SHOT })
  }
  if (faults.length > 0) throw new Error(`the page reported: ${faults.join(' | ')}`)
} catch (error) {
  console.error(`FAILED: ${error.message}`)
  process.exitCode = 1
} finally {
  await browser.close()
}
