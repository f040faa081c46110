// The nursing station's live view: a login, then the unit.

import { useSignalEffect } from '@preact/signals'
import { render, type VNode } from 'preact'
import { ActSheet } from './act'
import { Admission } from './admission'
import { beds, bedState, resume, session, unit } from './feed'
import { Focus } from './focus'
import { Footer } from './footer'
import { Help } from './help'
import { listen } from './keys'
import { Limits } from './limits'
import { Login } from './login'
import { begin } from './monitor'
import { Notices } from './notices'
import { Pairing } from './pairing'
import { start } from './pulse'
import { Record } from './record'
import { Review } from './review'
import { Announcer, Strip } from './strip'
import { TrendView } from './trend'
import { SoundCheck, StartScreen } from './soundcheck'
import { pairingOpen } from './station'
import { LostBanner, Unit } from './unit'
import { helping, screen } from './view'

function Console(): VNode | null {
  useSignalEffect(() => {
    document.title = unit.value === null ? 'Cotside' : `${unit.value.name} · Cotside`
  })
  if (session.value === undefined) return <p class="waiting">asking the hub</p>
  if (pairingOpen.value) return <Pairing />
  if (session.value === null) return <Login />
  return (
    <>
      <Strip />
      <LostBanner />
      <Notices />
      <View />
      <Footer />
      <Announcer />
      {helping.value && <Help />}
      <StartScreen />
      <SoundCheck />
      <ActSheet />
    </>
  )
}

function View(): VNode {
  const on = screen.value
  if (on.of === 'completeness') return <Record />
  if (on.of === 'review') return <Review key={on.only} only={on.only} />
  if (on.of === 'unit' || !beds.value.includes(on.bed)) return <Unit />
  if (on.of === 'bed') return <Focus bed={on.bed} />
  if (on.of === 'limits') return <Limits key={on.bed} bed={on.bed} />
  if (on.of === 'admission') return <Admission key={on.bed} bed={on.bed} />
  // Another bed, or another child in it: nothing of the picture stays.
  const child = bedState(on.bed).value?.view.patient?.identifier ?? ''
  return <TrendView key={`${on.bed}\n${child}`} bed={on.bed} />
}

const root = document.getElementById('app')
if (root !== null) render(<Console />, root)
start()
begin()
listen()
void resume()
