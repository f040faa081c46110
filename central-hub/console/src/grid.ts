// How many columns and rows give the largest numbers: pure, tested for 1 to 32 beds.

export interface Grid {
  columns: number
  rows: number
}

// Tiles wider than this ratio put waves beside the numbers (console.css says the same in its container query).
const BESIDE = 1.7

// The grid whose tiles print the largest numbers; among equals the one with the fewest empty places.
export function grid(beds: number, width: number, height: number): Grid {
  let best: Grid = { columns: 1, rows: Math.max(1, beds) }
  let bestScore = -1
  for (let columns = 1; columns <= beds; columns++) {
    const rows = Math.ceil(beds / columns)
    const w = width / columns
    const h = height / rows
    const size = w / h > BESIDE ? Math.min(0.62 * w, 1.45 * h) : Math.min(w, 1.12 * h)
    const score = size - 0.001 * (columns * rows - beds) * size
    if (score > bestScore) {
      bestScore = score
      best = { columns, rows }
    }
  }
  return best
}
