// When a session next needs time: each reason has a name, and one place in a table.
//
// A reason that concerns several wires or lanes has the earliest instant of all of them here;
// whoever takes it looks at each, and says when it is needed again.

/** Seconds by which a deadline moves, to be worth setting a timer anew. */
const LONG = 0.1;

/**
 * Why a session must be woken, in the order in which those that have come are taken: what is learnt
 * of a wire says which frames are overdue.
 */
export enum Deadline {
  /** On a wire where the far side was not heard yet: greet again, or call it failed. */
  HELLO = 0,
  /** A wire that the far side has greeted is to be pinged. */
  HEARTBEAT = 1,
  /** Word of what has come has waited long enough to go out with something else. */
  ACK = 2,
  /** Frames may be overdue or have another way now, or the far side must be asked for word. */
  RETRANSMIT = 3,
  /** Latency-first messages, whole ones here or unfinished ones of the far side, are too old. */
  EXPIRY = 4,
}

const COUNT = Deadline.EXPIRY + 1;

/** An instant in seconds for each name, or Infinity: nothing is waited for. */
export class Deadlines {
  /** By name; to be read only. */
  readonly at: number[] = new Array<number>(COUNT).fill(Infinity);
  /** The least of all; Infinity if nothing is set. */
  next = Infinity;
  /**
   * Whether it has moved to a much later instant, of which who keeps a timer takes note; the rest
   * is not worth it.
   */
  isEased = false;

  /** Waits until `at`, and no longer until what was set before; -Infinity: it has come. */
  set(name: Deadline, at: number): void {
    const before = this.at[name];
    this.at[name] = at;
    if (at <= this.next) {
      this.next = at;
    } else if (before === this.next) {
      this.next = Math.min(...this.at);
    }
  }

  /** Waits until `at` at latest: what is set for an earlier instant stays. */
  hasten(name: Deadline, at: number): void {
    if (at < this.at[name]!) {
      this.at[name] = at;
      this.next = Math.min(this.next, at);
    }
  }

  /** As `set`; if that is long after what was set before, it `isEased`. */
  putOff(name: Deadline, at: number): void {
    this.isEased ||= at > this.at[name]! + LONG;
    this.set(name, at);
  }

  /** Waits for it no more; harmless if nothing is set. */
  clear(name: Deadline): void {
    this.set(name, Infinity);
  }

  /**
   * The names whose instant has come, in order; each is cleared before it is given. What is set
   * meanwhile for a name further on, and has come, is given too.
   */
  *take(now: number): Generator<Deadline, void> {
    for (let name: Deadline = 0; name < COUNT; name++) {
      if (this.at[name]! <= now) {
        this.clear(name);
        yield name;
      }
    }
  }
}
