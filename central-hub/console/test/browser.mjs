// The console against a hub, in a real browser. All by environment, so that any test or demonstration can call it:
//   BASE_URL (default http://127.0.0.1:8080), USER or COTSIDE_USER, PASSWORD: whom to sign in as
//   BEDS=8        how many beds must be on the screen
//   LIVE=...      beds that must be live, comma separated (default: every occupied one that is not listed in STALE)
//   WAVING=...    beds that must draw waves (default: every live one that has a waveform channel, at least one)
//   STALE=...     beds that must come to look stale: an age, `-?-` or NO DATA
//   SHOT=unit.png where to save a picture of the unit (FOCUS_SHOT: of one bed)
//   WITHIN_MS=30000 how long each condition may take to come true
// Prints what it saw; exits 1 at the first thing that is not so.

import { pathToFileURL } from 'node:url'
import { launch, signIn } from './chromium.mjs'

const list = (text) => (text ?? '').split(',').map((s) => s.trim()).filter((s) => s !== '')

export async function check(options) {
  const { baseUrl, user, password, beds = 8, live = [], waving = [], stale = [], shot, focusShot, within = 30_000, say = console.log } = options
  const browser = await launch()
  try {
    const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, ignoreHTTPSErrors: true })
    const page = await context.newPage()
    const faults = []
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('401')) faults.push(message.text())
    })
    await page.goto(baseUrl)
    await signIn(page, user, password)
    await page.waitForFunction((n) => document.querySelectorAll('.unit > .tile[data-bed]').length === n, beds, { timeout: within })
    say(`${beds} beds on the screen`)

    const wanted = live.length > 0 ? live : (await occupied(page)).filter((bed) => !stale.includes(bed))
    await until(within, () => numbersOf(page), (now) => wanted.every((bed) => /\d/.test(now[bed] ?? '')), (now) => `beds without numbers: ${wanted.filter((bed) => !/\d/.test(now[bed] ?? '')).join(' ')}`)
    const first = await numbersOf(page)
    await until(within, () => numbersOf(page), (now) => wanted.every((bed) => now[bed] !== first[bed]), (now) => `numbers that never changed: ${wanted.filter((bed) => now[bed] === first[bed]).join(' ')}`)
    say(`numbers change at ${wanted.length} beds`)

    const waved = waving.length > 0 ? waving : await until(within, async () => (await withChannels(page)).filter((bed) => wanted.includes(bed)), (now) => now.length > 0, () => 'no bed has a wave')
    const inked = await until(within, () => wavesOf(page), (now) => waved.every((bed) => (now[bed]?.inked ?? 0) > 200), (now) => `beds without a wave: ${waved.filter((bed) => (now[bed]?.inked ?? 0) <= 200).join(' ')}`)
    await until(within, () => wavesOf(page), (now) => waved.every((bed) => now[bed]?.sum !== inked[bed]?.sum), (now) => `waves that stand still: ${waved.filter((bed) => now[bed]?.sum === inked[bed]?.sum).join(' ')}`)
    say(`waves move at ${waved.length} beds`)

    const clock = await page.textContent('.clock b')
    await until(within, () => page.textContent('.clock b'), (now) => now !== clock, () => 'the clock stands still')
    if (stale.length > 0) {
      await until(within, () => staleOf(page), (now) => stale.every((bed) => now.includes(bed)), (now) => `stale, but does not look it: ${stale.filter((bed) => !now.includes(bed)).join(' ')}`)
      say(`stale looks stale at ${stale.join(' ')}`)
    }
    const footer = (await page.textContent('footer')) ?? ''
    if (!footer.includes('NOT FOR ALARM SURVEILLANCE')) throw new Error('the footer does not say what this is not')
    if (shot !== undefined) await page.screenshot({ path: shot })
    if (focusShot !== undefined) {
      await page.click(`.tile[data-bed="${wanted[0]}"]`)
      await page.waitForSelector('.focus .details')
      await page.waitForTimeout(3_000)
      await page.screenshot({ path: focusShot })
    }
    if (faults.length > 0) throw new Error(`the page reported: ${faults.join(' | ')}`)
  } finally {
    await browser.close()
  }
}

async function until(within, look, good, why) {
  const end = Date.now() + within
  for (;;) {
    const seen = await look()
    if (good(seen)) return seen
    if (Date.now() > end) throw new Error(why(seen))
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

const occupied = (page) => page.$$eval('.unit > .tile.occupied', (tiles) => tiles.map((tile) => tile.dataset.bed))

const withChannels = (page) =>
  page.$$eval('.unit > .tile', (tiles) => tiles.filter((tile) => tile.querySelector('.lanes span') !== null).map((tile) => tile.dataset.bed))

const numbersOf = (page) =>
  page.$$eval('.unit > .tile', (tiles) =>
    Object.fromEntries(tiles.map((tile) => [tile.dataset.bed, [...tile.querySelectorAll('.digits')].map((d) => d.textContent).join(' ')])),
  )

const staleOf = (page) =>
  page.$$eval('.unit > .tile', (tiles) =>
    tiles.filter((tile) => tile.querySelector('.nodata, .num.old, .num.gone') !== null).map((tile) => tile.dataset.bed),
  )

// Inked pixels, and a sum that changes with where they are.
const wavesOf = (page) =>
  page.$$eval('.unit > .tile', (tiles) =>
    Object.fromEntries(
      tiles.flatMap((tile) => {
        const canvas = tile.querySelector('canvas')
        const pen = canvas?.getContext('2d')
        if (!canvas || !pen || canvas.width === 0) return []
        const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data
        let inked = 0
        let sum = 0
        for (let i = 3; i < pixels.length; i += 4) {
          if (pixels[i] === 0) continue
          inked += 1
          sum = (sum * 31 + i) % 2147483647
        }
        return [[tile.dataset.bed, { inked, sum }]]
      }),
    ),
  )

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const env = process.env
  await check({
    baseUrl: env.BASE_URL ?? 'http://127.0.0.1:8080',
    user: env.COTSIDE_USER ?? env.USER ?? '',
    password: env.PASSWORD ?? '',
    beds: Number(env.BEDS ?? 8),
    live: list(env.LIVE),
    waving: list(env.WAVING),
    stale: list(env.STALE),
    within: Number(env.WITHIN_MS ?? 30_000),
    ...(env.SHOT === undefined ? {} : { shot: env.SHOT }),
    ...(env.FOCUS_SHOT === undefined ? {} : { focusShot: env.FOCUS_SHOT }),
  }).catch((error) => {
    console.error(`FAILED: ${error.message}`)
    process.exitCode = 1
  })
}
