// A hub for developing the console without one: serves dist/ under the hub's strict CSP and plays API v1 with made-up beds.
// Nothing of it is shipped. `node dev/fake-hub.mjs [--beds 8] [--port 8099]`, sign in as nurse / nurse.

import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { WebSocketServer } from 'ws'
import { desk } from './desk.mjs'
import { ward } from './ward.mjs'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

export async function startFakeHub({ beds = 8, port = 0, waves = 3, calm = false, hostile = false } = {}) {
  const unit = ward({ beds, waves, calm, hostile })
  const people = desk(unit)
  const streams = new Set()
  const sockets = new Set()
  let session = null
  const spoilt = new Set()
  let silent = false
  let mute = false

  const server = createServer((request, response) => {
    void answer(request, response).catch((error) => {
      response.writeHead(500).end(String(error))
    })
  })
  const ws = new WebSocketServer({ noServer: true })

  async function answer(request, response) {
    const url = new URL(request.url ?? '/', 'http://hub')
    if (silent) return request.socket.destroy()
    if (url.pathname.startsWith('/api/v1/')) return api(request, response, url.pathname.slice('/api/v1'.length), url.searchParams)
    const path = url.pathname === '/' ? '/index.html' : normalize(url.pathname)
    try {
      const body = await readFile(join(DIST, path))
      response.writeHead(200, {
        'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
        'content-security-policy': CSP,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      response.end(body)
    } catch {
      response.writeHead(404).end()
    }
  }

  async function api(request, response, path, query) {
    const send = (status, data) => {
      const at = new Date().toISOString()
      const body = status < 400 ? { data, meta: { at } } : { error: { code: data, message: data, statusCode: status, timestamp: at, details: {} } }
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const body = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString())
    const signedIn = session !== null && (request.headers.cookie ?? '').includes(`cotside_session=${session}`)
    const who = { user: { username: 'nurse', name: 'K. Lund', role: 'nurse' }, csrf: 'fake-csrf' }
    if (path === '/health') return send(200, { status: 'ok', version: 'fake', store: 'ok', agents: { known: beds, connected: beds } })
    if (path === '/session' && request.method === 'POST') {
      const { username, password } = body
      if (username !== 'nurse' || password !== 'nurse') return send(401, 'bad-credentials')
      session = Math.random().toString(36).slice(2)
      response.setHeader('set-cookie', `cotside_session=${session}; HttpOnly; SameSite=Strict; Path=/`)
      return send(200, who)
    }
    const told = await people.answer(request, path, query, body, signedIn ? who.user.name : undefined)
    if (told !== undefined) {
      for (const [name, value] of Object.entries(told[2] ?? {})) response.setHeader(name, value)
      return send(told[0], told[1])
    }
    if (!signedIn && !people.isIn(request)) return send(401, 'login-required')
    if (path === '/session' && request.method === 'DELETE') {
      session = null
      return send(200, {})
    }
    if (path === '/session') return signedIn ? send(200, who) : send(401, 'login-required')
    if (path === '/units') return send(200, [{ id: 'nicu', name: 'NICU A' }])
    if (path === '/units/nicu') return send(200, unit.view(Date.now()))
    if (path === '/units/nicu/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      response.write(`event: snapshot\ndata: ${JSON.stringify(unit.view(Date.now()))}\n\n`)
      streams.add(response)
      request.on('close', () => streams.delete(response))
      return
    }
    const asked = recorded(path, query)
    if (asked !== undefined) return mute ? send(500, 'broken') : send(200, asked)
    return send(404, 'not-found')
  }

  function recorded(path, query) {
    if (path === '/units/nicu/completeness') {
      const day = query.get('day')
      return { day, beds: unit.records.map(([bed, record]) => ({ bed, expected_s: record.day(day).expected_s, ...record.day(day).whole })) }
    }
    const [, bed, what] = /^\/beds\/([^/]+)\/(trends|gaps|completeness)$/.exec(path) ?? []
    const record = unit.records.find(([id]) => id === bed)?.[1]
    if (record === undefined) return undefined
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))]
    if (what === 'gaps') return { bed, ...record.gaps(from, to) }
    if (what === 'completeness') return { bed, days: [{ ...record.day(query.get('from')), whole: undefined }] }
    return { bed, ...record.trends(query.get('param').split(',').map(Number), from, to, Number(query.get('resolution'))) }
  }

  server.on('upgrade', (request, socket, head) => {
    if (silent || (session === null && !people.isIn(request))) return socket.destroy()
    ws.handleUpgrade(request, socket, head, (client) => {
      const reader = { client, beds: new Set(), told: new Set() }
      sockets.add(reader)
      client.on('message', (data) => {
        reader.beds = new Set(JSON.parse(String(data)).beds)
      })
      client.on('close', () => sockets.delete(reader))
    })
  })

  const event = (name, data) => {
    const text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    for (const stream of streams) stream.write(text)
  }
  const timers = [
    setInterval(() => event('tick', { hub_at_ms: Date.now(), ...people.tick(Date.now()) }), 1000),
    // A quarter of the beds each quarter of a second, as a hub that coalesces would.
    setInterval(() => {
      const now = Date.now()
      const quarter = Math.floor(now / 250) % 4
      const changed = unit
        .view(now)
        .beds.filter((_, i) => i % 4 === quarter)
        .map((bed) => (spoilt.has(bed.bed) ? { ...bed, values: null } : bed))
      event('beds', { hub_at_ms: now, beds: changed })
    }, 250),
    setInterval(() => {
      const { channels, frames } = unit.waves(Date.now())
      for (const reader of sockets) {
        const fresh = channels.filter((c) => reader.beds.has(c.bed) && !reader.told.has(c.id))
        if (fresh.length > 0) {
          reader.client.send(JSON.stringify({ type: 'channels', channels: fresh }))
          for (const c of fresh) reader.told.add(c.id)
        }
        for (const { bed, bytes } of frames) if (reader.beds.has(bed)) reader.client.send(bytes)
      }
    }, 250),
  ]

  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  const drop = () => {
    for (const stream of streams) stream.destroy()
    for (const { client } of sockets) client.terminate()
  }
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    people,
    // The network goes: open connections die, new ones are cut.
    silence(on) {
      silent = on
      if (on) drop()
    },
    // The live view goes on, the record cannot be read.
    muteRecord(on) {
      mute = on
    },
    // A bed as no contract allows it.
    spoil(bed, on) {
      if (on) spoilt.add(bed)
      else spoilt.delete(bed)
    },
    // The session ends on the hub's side.
    expire() {
      session = null
      drop()
    },
    close() {
      timers.forEach(clearInterval)
      drop()
      server.close()
      server.closeAllConnections()
    },
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const option = (name, otherwise) => {
    const at = process.argv.indexOf(`--${name}`)
    return at < 0 ? otherwise : Number(process.argv[at + 1])
  }
  const hub = await startFakeHub({ beds: option('beds', 8), port: option('port', 8099) })
  hub.people.autoApprove()
  console.log(`fake hub on ${hub.url} (nurse / nurse)`)
}
