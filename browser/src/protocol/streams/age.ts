// How old a latency-first item is, by two clocks that agree on nothing but their pace.
//
// The writer says by its own clock when it took each item. The reader subtracts that from when the
// item came by its own: the result is the difference of the clocks and the item's way. The least of
// the last seconds is that of an item which waited nowhere, so what another has above it is time
// that it has lost: in a queue, on a crowded path, or before a page that stood still.
//
// The first item of a process counts as fresh, for there is nothing to compare it with. A way that
// becomes longer for good makes items look old until the lesser differences are forgotten, after two
// spans at most. Clocks drift: an old difference is trusted less, by DRIFT.

/** Seconds over which the least difference is sought: this span and the one before it count. */
const SPAN = 5;
/** Seconds by which two clocks part in one, at most. */
const DRIFT = 0.0002;
const MICROSECONDS = 1e6;

/** The clock of one remote process, as its latency-first items show it. */
export class Clock {
  /** The least difference of this span. */
  private least = Infinity;
  private beganAt = -Infinity;
  /** That of the span before. */
  private before = Infinity;
  private beforeAt = 0;

  /**
   * When an item was taken by its writer, by the clock here.
   *
   * @param stamp microseconds of the writer's clock
   * @param now when the item came, seconds
   */
  sentAt(stamp: number, now: number): number {
    const difference = now - stamp / MICROSECONDS;
    if (now - this.beganAt > SPAN) {
      this.before = this.least;
      this.beforeAt = this.beganAt + SPAN;
      this.least = difference;
      this.beganAt = now;
    } else {
      this.least = Math.min(this.least, difference);
    }
    const trusted = this.before + Math.max(now - this.beforeAt, 0) * DRIFT;
    return now - (difference - Math.min(this.least, trusted));
  }
}
