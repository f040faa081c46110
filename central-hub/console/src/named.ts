// Which bed a person means by typing its number.

// The bed that the digits name: at once when no other bed's number goes on from them.
export function named(digits: string, beds: string[]): { bed: string | undefined; sure: boolean } {
  const number = Number(digits)
  const bed = beds.find((b) => numberOf(b) === number)
  const longer = beds.some((b) => {
    const n = numberOf(b)
    return n !== number && number !== 0 && String(n).startsWith(String(number))
  })
  return { bed, sure: bed !== undefined && !longer }
}

function numberOf(bed: string): number {
  const digits = /\d+$/.exec(bed)
  return digits === null ? NaN : Number(digits[0])
}
