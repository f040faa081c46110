// Renders each alarm signal through the speaker's own graph, two bursts and more of it, and measures what comes out.

import { beside, measure, type Window } from '../src/measure'
import { loop } from '../src/speaker'
import { PATTERNS, type Tone } from '../src/tones'

// Longer than any silence within a burst, shorter than any between two.
const BURST_GAP_MS = 1_800

export async function measured(rate: number): Promise<{ tone: Tone; rows: Window[] }[]> {
  const all = []
  for (const tone of ['high', 'medium', 'low'] as Tone[]) {
    const seconds = (PATTERNS[tone].betweenMs / 1000) * 1.1 + 8
    const context = new OfflineAudioContext(1, Math.round(seconds * rate), rate)
    loop(context, context.destination, tone, 0)
    const samples = (await context.startRendering()).getChannelData(0)
    const whole = measure(samples, rate)
    const second = whole.pulses.findIndex((pulse, i) => i > 0 && pulse.startMs - (whole.pulses[i - 1]?.endMs ?? 0) > BURST_GAP_MS)
    const pulses = whole.pulses.slice(0, second)
    const between = (whole.pulses[second]?.startMs ?? NaN) - (pulses.at(-1)?.endMs ?? NaN)
    all.push({ tone, rows: beside(tone, { ...whole, pulses, gapsMs: whole.gapsMs.slice(0, second - 1) }, between) })
  }
  return all
}
