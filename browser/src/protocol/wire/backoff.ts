// How long to wait before another attempt; each failure doubles it, up to a bound.

/** The wait after so many failures in a row: `first` after one, `most` in the end; seconds. */
export function doubled(first: number, failures: number, most: number): number {
  return Math.min(most, first * 2 ** Math.max(0, failures - 1));
}

/** Seconds to wait before the next attempt: doubling, bounded, and spread by the dice. */
export class Backoff {
  #failures = 0;

  /**
   * @param first before the second attempt, seconds
   * @param most bound, seconds
   */
  constructor(
    readonly first = 0.25,
    readonly most = 5,
  ) {}

  /**
   * The wait after one more failure: between half and the whole of the step.
   *
   * @param dice random, 0 to 1
   */
  failed(dice: number): number {
    this.#failures += 1;
    return doubled(this.first, this.#failures, this.most) * (0.5 + dice / 2);
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
