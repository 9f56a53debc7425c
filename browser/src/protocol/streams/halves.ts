// The two halves of a stream: credit, sequence, end (docs/protocol/streams.md).
//
// A half is written at one side and read at the other:
//
//     writer   WAITING ─ granted ─▶ OPEN ─ end ─▶ ENDED
//                 └─ end ─▶ HALF_CLOSED ─ granted ─▶ ENDED         the end waits for a listener
//
//     reader   WAITING ─ grants ─▶ OPEN ─ end ─▶ HALF_CLOSED ─ all taken ─▶ ENDED
//
// and FAILED from wherever it is not over (`states`). Items change no state; whether one may be sent
// or has come in its turn is counted beside the state: a writer sends while it has credit of both
// kinds, items and bytes, so that the last item may take the bytes below zero, and no item is too
// long for the window.
//
// Latency-first streams spend no credit and have no order: of theirs the oldest is dropped, and what
// is older than its life is not handed over.

import { LimitError, RemoteProtocolError } from "../../errors";
import { LIFETIME } from "../payload";
import type { Chunk, Credit } from "./chunks";
import { Input, isOver, State, TABLE } from "./states";

/** Items that a reader holds, and so the credit that it grants at first. */
export const WINDOW = 64;
/** Bytes likewise. One item more may come while any of it is left. */
export const WINDOW_BYTES = 1024 * 1024;
/** What the reader of a named channel has granted without a word. */
export const FIRST: Credit = { items: WINDOW, size: WINDOW_BYTES };
/** What a writer counts at most: a far side that grants without end gains nothing by it. */
const MAX_CREDIT = 2 ** 20;
const MAX_CREDIT_BYTES = 2 ** 40;
/** Taken before the next grant: one message of credit for many of data. */
export const GRANT_EVERY = WINDOW / 4;
export const GRANT_EVERY_BYTES = WINDOW_BYTES / 2;

/** What the sender of a half counts. */
export class WritingHalf {
  state = State.WAITING;
  /** Items sent, and so the sequence number of the next. */
  sent = 0;
  error: Error | null = null;
  private items = 0;
  private bytes = 0;
  private countsBytes = true;

  /**
   * @param credit what the far side takes without another word; null: it does not listen yet, so
   *   that not even the end may be sent
   * @param isMetered whether items spend credit: those of a latency-first stream do not
   */
  constructor(
    credit: Credit | null,
    private readonly isMetered: boolean,
  ) {
    if (credit !== null) {
      this.state = State.OPEN;
      this.add(credit);
    }
  }

  /** Whether an item may leave now, of whatever size. */
  get maySend(): boolean {
    return this.state === State.OPEN && this.items > 0 && (this.bytes > 0 || !this.countsBytes);
  }

  private step(input: Input): boolean {
    const state = TABLE.writer[this.state]?.[input];
    this.state = state ?? this.state;
    return state !== undefined;
  }

  /** An item was taken by the lane; `size` is that of its whole message, in bytes. */
  spend(size: number): void {
    this.sent++;
    if (this.isMetered) {
      this.items--;
      this.bytes -= size;
    }
  }

  /** The far side takes more; true if the end waited for this and is to be said now. */
  grant(credit: Credit): boolean {
    const was = this.state;
    if ((credit.items === 0 && credit.size === 0) || !this.step(Input.GRANT)) {
      return false;
    }
    this.add(credit);
    return was === State.HALF_CLOSED;
  }

  /** Ends the half; true if that is to be said now, not later and not again. */
  end(): boolean {
    return this.step(Input.END) && this.state === State.ENDED;
  }

  /** The far side takes no more, or is gone; false if the half was over. */
  fail(error: Error): boolean {
    if (!this.step(Input.FAIL)) {
      return false;
    }
    this.error = error;
    return true;
  }

  private add(credit: Credit): void {
    this.items = Math.min(this.items + credit.items, MAX_CREDIT);
    this.bytes = Math.min(this.bytes + credit.size, MAX_CREDIT_BYTES);
    if (credit.items > 0 && credit.size === 0) {
      this.countsBytes = false;
    }
  }
}

/**
 * What the receiver of a half holds, counts and demands.
 *
 * An error is due after the items that came before it. Of a metered half every item must come in its
 * turn and inside what was granted, and the end must count them all.
 */
export class ReadingHalf {
  state = State.WAITING;
  /** Items that came and were not taken, oldest first. */
  held: Chunk[] = [];
  heldBytes = 0;
  received = 0;
  /** Of a latency-first half: items that a slow consumer lost. */
  dropped = 0;
  /** Likewise: items that were too old when their turn came. */
  stale = 0;
  error: Error | null = null;
  /** Items that the far side has sent in all, once it says so. */
  private count: number | null = null;
  /** Granted and not used. */
  private items = 0;
  private bytes = 0;
  /** Taken and not granted anew. */
  private taken = 0;
  private takenBytes = 0;

  constructor(readonly isMetered: boolean) {}

  private step(input: Input): boolean {
    const state = TABLE.reader[this.state]?.[input];
    this.state = state ?? this.state;
    return state !== undefined;
  }

  /** Takes items from now on; returns the first grant, which the far side must hear of. */
  listen(): Credit {
    if (this.step(Input.GRANT)) {
      this.items += WINDOW;
      this.bytes += WINDOW_BYTES;
    }
    return FIRST;
  }

  /**
   * Takes an item, the end, or the error of the far half. Throws `RemoteProtocolError` if it may not
   * come now, `LimitError` if it is more than was granted; the half has failed with this.
   */
  receive(chunk: Chunk): void {
    if (chunk.kind === "item") {
      this.takeIn(chunk);
    } else if (chunk.error !== null) {
      this.fail(chunk.error);
    } else if (this.state === State.WAITING) {
      this.break(`channel ${chunk.channelId} ended before it was granted anything`);
    } else if (this.isMetered && chunk.sequence !== this.received) {
      this.break(
        `channel ${chunk.channelId} ended after ${chunk.sequence} items, ` +
          `of which ${this.received} came`,
      );
    } else if (this.step(Input.END)) {
      this.count = chunk.sequence;
      this.settle();
    }
  }

  /** The oldest item that is held; undefined: none is. */
  take(): Chunk | undefined {
    const chunk = this.held.shift();
    if (chunk !== undefined) {
      this.heldBytes -= chunk.size;
      this.taken++;
      this.takenBytes += chunk.size;
      this.settle();
    }
    return chunk;
  }

  /**
   * Of a latency-first half: drops the oldest items while they are past their life. What has no age,
   * from a writer that says none, stays.
   */
  dropStale(now: number): void {
    while (this.held.length > 0 && now - this.held[0]!.bornAt > LIFETIME) {
      this.take();
      this.stale++;
    }
  }

  /** The grant that is to be said now: one for a part of the window, not one an item; or null. */
  due(): Credit | null {
    if (this.taken < GRANT_EVERY && this.takenBytes < GRANT_EVERY_BYTES) {
      return null;
    }
    const credit = { items: this.taken, size: this.takenBytes };
    this.taken = this.takenBytes = 0;
    if (!this.isMetered || this.state !== State.OPEN) {
      return null;
    }
    this.items += credit.items;
    this.bytes += credit.size;
    return credit;
  }

  /** Whether a latency-first end has come before all of its items. */
  get isShort(): boolean {
    return this.state === State.HALF_CLOSED && this.count !== null;
  }

  /** What the end has overtaken comes no more. */
  giveUpOnLate(): void {
    this.count = null;
    this.settle();
  }

  /** Ends with `error` after what is held; false if the half was over. */
  fail(error: Error): boolean {
    if (!this.step(Input.FAIL)) {
      return false;
    }
    this.error = error;
    return true;
  }

  /** Ends with `error` at once: what is held is dropped. */
  giveUp(error: Error): void {
    this.drop();
    if (!this.fail(error)) {
      this.error = error;
    }
  }

  /** Drops what is held and takes no more; true if the far side must hear of it. */
  close(): boolean {
    this.drop();
    const mustTell = this.state === State.WAITING || this.state === State.OPEN;
    this.step(Input.CLOSE);
    return mustTell;
  }

  private drop(): void {
    this.held = [];
    this.heldBytes = 0;
  }

  private takeIn(chunk: Chunk): void {
    const { channelId, sequence, size } = chunk;
    if (this.state === State.WAITING) {
      this.break(`channel ${channelId}: an item before anything was granted`);
    } else if (isOver(this.state)) {
      return;
    } else if (!this.isMetered) {
      this.makeRoom(size);
    } else if (this.state !== State.OPEN || sequence !== this.received) {
      this.break(`channel ${channelId}: item ${sequence} came, ${this.received} was due`);
    } else if (this.items <= 0) {
      this.refuse("items held for one stream", WINDOW, WINDOW + 1);
    } else if (this.bytes <= 0) {
      this.refuse("bytes held for one stream", WINDOW_BYTES, this.heldBytes + size);
    } else {
      this.items--;
      this.bytes -= size;
    }
    this.received++;
    this.held.push(chunk);
    this.heldBytes += size;
    this.settle();
  }

  /** Drops the oldest items for a new one, which itself is always taken. */
  private makeRoom(size: number): void {
    while (this.held.length >= WINDOW || (this.held.length > 0 && this.heldBytes + size > WINDOW_BYTES)) {
      this.heldBytes -= this.held.shift()!.size;
      this.dropped++;
    }
  }

  private settle(): void {
    if (this.state !== State.HALF_CLOSED) {
      return;
    }
    if (this.count !== null && this.received >= this.count) {
      this.count = null;
    }
    if (this.count === null && this.held.length === 0) {
      this.step(Input.DRAINED);
    }
  }

  private break(text: string): never {
    const error = new RemoteProtocolError(text);
    this.fail(error);
    throw error;
  }

  private refuse(what: string, limit: number, asked: number): never {
    const error = new LimitError(what, limit, asked);
    this.fail(error);
    throw error;
  }
}
