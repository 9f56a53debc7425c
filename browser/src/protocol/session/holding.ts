// What a session holds for its far side: bounded here for one remote, and in the budget for all.

import { LimitError } from "../../errors";
import type { Account } from "./budget";
import type { LatencyReceiver } from "./latency";
import type { Receiver } from "./receiver";

/**
 * Bytes that one remote may have held back, unfinished or waiting to be stored: less than the
 * windows and the longest messages of all lanes, for nobody uses them all at once.
 */
export const HELD_BYTES = 96 * 1024 * 1024;

/** Each method that counts throws `LimitError` if it is more than one remote may have. */
export class Holding {
  private parkedBytes = 0;

  constructor(
    private readonly account: Account,
    private readonly receivers: readonly Receiver[],
    private readonly latency: LatencyReceiver,
  ) {}

  /** Bytes held for the far side: parked, held back, unfinished, or not stored yet. */
  get bytes(): number {
    const base = this.parkedBytes + this.latency.allBytes;
    return this.receivers.reduce((sum, receiver) => sum + receiver.allBytes, base);
  }

  /** Whether anything is counted. */
  get isAny(): boolean {
    return this.account.heldBytes > 0;
  }

  /** So much more, or less, has come by wires that are not greeted yet. */
  park(size: number): void {
    if (size !== 0) {
      this.parkedBytes += size;
      this.count();
    }
  }

  /** Sees what is held. */
  count(): void {
    let held = this.parkedBytes + this.latency.allBytes;
    for (const receiver of this.receivers) {
      receiver.counted = receiver.allBytes;
      receiver.countedSince = receiver.since;
      receiver.isHeavy = receiver.counted > 0;
      held += receiver.counted;
    }
    this.note(held, this.since());
  }

  /** The same where only one lane has changed, for this is done at each message. */
  recount(receiver: Receiver): void {
    const { counted, countedSince, since } = receiver;
    const held = receiver.allBytes;
    receiver.counted = held;
    receiver.isHeavy = held > 0;
    receiver.countedSince = since;
    const isAsBefore = since === countedSince; // in the midst of one message
    this.note(this.account.heldBytes + held - counted, isAsBefore ? this.account.since : this.since());
  }

  private since(): number {
    return Math.min(this.latency.since, ...this.receivers.map((receiver) => receiver.since));
  }

  private note(held: number, since: number): void {
    this.account.note(held, since);
    if (held > HELD_BYTES) {
      throw new LimitError("bytes held for one remote", HELD_BYTES, held);
    }
  }
}
