// What a full unit costs this machine: frames a second, script time per frame, processor time of the whole browser.
// `node test/load.mjs [beds] [seconds]`

import { readdirSync, readFileSync } from 'node:fs'
import { startFakeHub } from '../dev/fake-hub.mjs'
import { launch, signIn } from './chromium.mjs'

const beds = Number(process.argv[2] ?? 32)
const seconds = Number(process.argv[3] ?? 30)
const TICKS_PER_S = 100

const hub = await startFakeHub({ beds, calm: true })
const browser = await launch()
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } })
await page.goto(`${hub.url}/?waves=3`)
await signIn(page, 'nurse', 'nurse')
await page.waitForTimeout(8_000)

const session = await page.context().newCDPSession(page)
await session.send('Performance.enable')
const metrics = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]))
const before = { ...(await metrics()), cpu: processorSeconds(), at: performance.now() }
const frames = await page.evaluate(
  (ms) =>
    new Promise((resolve) => {
      const shown = []
      const end = performance.now() + ms
      const look = () => {
        if (performance.now() > end) return resolve(shown)
        shown.push(Number(/(\d+) frames/.exec(document.querySelector('footer')?.textContent ?? '')?.[1]))
        setTimeout(look, 1_000)
      }
      look()
    }),
  seconds * 1_000,
)
const after = { ...(await metrics()), cpu: processorSeconds(), at: performance.now() }
const span = (after.at - before.at) / 1_000
const fps = frames.reduce((a, b) => a + b, 0) / frames.length
const lanes = await page.$$eval('.lanes span', (spans) => spans.length)
console.log(`${beds} beds, ${lanes} waves, ${span.toFixed(0)} s`)
console.log(`frames/s ${fps.toFixed(1)} (least ${Math.min(...frames)})`)
console.log(`script ms/frame ${(((after.ScriptDuration - before.ScriptDuration) * 1_000) / (fps * span)).toFixed(2)}`)
console.log(`main thread busy ${(((after.TaskDuration - before.TaskDuration) / span) * 100).toFixed(0)} %`)
console.log(`browser processor cores ${((after.cpu - before.cpu) / span).toFixed(2)}`)
console.log(`heap MB ${(after.JSHeapUsedSize / 1e6).toFixed(1)}`)
await browser.close()
hub.close()

// User and system time of this process's Chromium children.
function processorSeconds() {
  const parents = new Map()
  const times = new Map()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
      parents.set(pid, fields[1])
      times.set(pid, (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S)
    } catch {
      continue
    }
  }
  const ours = (pid) => pid !== undefined && pid !== '0' && (pid === String(process.pid) || ours(parents.get(pid)))
  return [...times].filter(([pid]) => pid !== String(process.pid) && ours(pid)).reduce((sum, [, t]) => sum + t, 0)
}
