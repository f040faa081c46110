// Type checks and bundles the tests (Node 20 runs no TypeScript), then hands them to Node's own runner.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const run = (command, args) => spawnSync(command, args, { stdio: 'inherit' }).status ?? 1
const types = run('npx', ['tsc', '-p', 'tsconfig.test.json'])
if (types !== 0) process.exit(types)

const tests = readdirSync('src').filter((file) => file.endsWith('.test.ts'))
const outDir = mkdtempSync(join(tmpdir(), 'cotside-console-'))
await build({
  configFile: false,
  logLevel: 'warn',
  build: { ssr: true, outDir, emptyOutDir: true, rollupOptions: { input: tests.map((file) => join('src', file)), output: { entryFileNames: '[name].mjs' } } },
})
const status = run(process.execPath, ['--test', ...tests.map((file) => join(outDir, file.replace(/\.ts$/, '.mjs')))])
rmSync(outDir, { recursive: true })
process.exit(status || budget())

// What a station has to fetch before it can alarm: all scripts of the built page, compressed.
function budget() {
  if (!existsSync('dist/assets')) return 0
  const bytes = readdirSync('dist/assets').filter((file) => file.endsWith('.js')).reduce((sum, file) => sum + gzipSync(readFileSync(join('dist/assets', file))).length, 0)
  console.log(`scripts of the page, compressed: ${(bytes / 1000).toFixed(1)} kB of 60 kB`)
  return bytes <= 60_000 ? 0 : 1
}
