// The nursing station's live view: a login, then the unit.

import { useSignalEffect } from '@preact/signals'
import { render, type VNode } from 'preact'
import { beds, resume, session, unit } from './feed'
import { Focus } from './focus'
import { Footer } from './footer'
import { Help } from './help'
import { listen } from './keys'
import { Login } from './login'
import { start } from './pulse'
import { Announcer, Strip } from './strip'
import { LostBanner, Unit } from './unit'
import { focused, helping } from './view'

function Console(): VNode | null {
  useSignalEffect(() => {
    document.title = unit.value === null ? 'Cotside' : `${unit.value.name} · Cotside`
  })
  if (session.value === undefined) return <p class="waiting">asking the hub</p>
  if (session.value === null) return <Login />
  const bed = focused.value
  return (
    <>
      <Strip />
      <LostBanner />
      {bed !== null && beds.value.includes(bed) ? <Focus bed={bed} /> : <Unit />}
      <Footer />
      <Announcer />
      {helping.value && <Help />}
    </>
  )
}

const root = document.getElementById('app')
if (root !== null) render(<Console />, root)
start()
listen()
void resume()
