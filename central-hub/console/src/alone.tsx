// A tile that cannot be drawn fails alone, says so in its place, and is tried again; the other beds stay on the screen.

import { Component, type ComponentChildren, type VNode } from 'preact'

const AGAIN_MS = 1_000

interface Props {
  bed: string
  children?: ComponentChildren
}

export class Alone extends Component<Props, { failed: boolean }> {
  override state = { failed: false }
  private timer = 0

  override componentDidCatch(error: unknown): void {
    console.error('a tile could not be drawn', error)
    this.setState({ failed: true })
    this.timer = window.setTimeout(() => this.setState({ failed: false }), AGAIN_MS)
  }

  override componentWillUnmount(): void {
    window.clearTimeout(this.timer)
  }

  override render({ bed, children }: Props): VNode {
    if (!this.state.failed) return <>{children}</>
    return (
      <article class="tile medium" data-bed={bed}>
        <div class="fault-tile" role="alert">
          <b>{bed}</b>
          DISPLAY FAULT: this bed is not shown
        </div>
      </article>
    )
  }
}
