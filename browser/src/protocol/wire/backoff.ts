// How long to wait before another attempt; each failure doubles it, up to a bound.

/** The wait after so many failures in a row: `first` after one, `most` in the end; seconds. */
export function doubled(first: number, failures: number, most: number): number {
  return Math.min(most, first * 2 ** Math.max(0, failures - 1));
}
