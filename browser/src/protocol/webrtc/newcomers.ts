// How many new connections each remote gets, at once and over time.

/** Remotes that came lately; the one that came longest ago is forgotten, and starts anew. */
const MAX_REMEMBERED = 1024;

/** A bucket for each remote that came lately. */
export class Newcomers {
  readonly #left = new Map<string, readonly [number, number]>();

  /**
   * @param atOnce what a remote may have that did not come for long
   * @param perSecond what it may have from then on
   */
  constructor(
    readonly atOnce: number,
    readonly perSecond: number,
  ) {}

  /** Whether `who` gets one more at `now`, in seconds of a clock that never goes back. */
  admit(who: string, now: number): boolean {
    const [before, then] = this.#left.get(who) ?? [this.atOnce, now];
    const left = Math.min(this.atOnce, before + (now - then) * this.perSecond);
    const isAdmitted = left >= 1;
    this.#left.delete(who);
    this.#left.set(who, [isAdmitted ? left - 1 : left, now]);
    if (this.#left.size > MAX_REMEMBERED) {
      this.#left.delete(this.#left.keys().next().value!);
    }
    return isAdmitted;
  }
}
