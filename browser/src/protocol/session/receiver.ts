// The receiving half of one reliable lane (docs/protocol.md).
//
// It delivers in order and once: what comes early is held back, what comes again is dropped and
// counted. `received` runs ahead of `acknowledged`: an RPC message is acknowledged only when the
// upper layer has stored it, a stream item when it is delivered.

import { LimitError, RemoteProtocolError } from "../../errors";
import type { ByteLane } from "../payload";
import { frameCount, Joiner } from "./fragments";
import { type Ack, type Data, FIRST_REPLY_LANE, FRAGMENT_BYTES, Kind } from "./frames";
import { isRun, singles } from "./runs";
import { WINDOW_BYTES, WINDOW_FRAMES } from "./sender";

/** Messages after which an acknowledgement goes out at once. */
export const ACK_EVERY = 8;
/**
 * A frame of so many bytes counts twice: some 64 KiB of them are acknowledged at once, and some
 * 256 KiB where a wire is so fast that several fragments go as one.
 */
const LONG_BYTES = 8 * 1024;
/** Seconds after which it goes out at latest. */
export const ACK_WITHIN = 0.02;
/** Bytes that keeping a frame takes beside its payload that came early, about. */
const HELD_COST = 256;
/** What may wait to be stored without being counted anew at each message. */
const LIGHT_BYTES = 64 * 1024;
/** The number of what is acknowledged by its delivery and comes from a reply lane. */
export const UNNUMBERED = -1;

/** A message that has come. */
export interface Delivery {
  readonly payloadType: ByteLane;
  readonly message: Uint8Array;
  /** What to acknowledge it with. */
  readonly number: number;
}

/** One reliable lane's messages on their way in. */
export class Receiver {
  /** Messages delivered. */
  messages = 0;
  /** Frames that had come before. */
  duplicates = 0;
  /** All frames below this number have arrived: `received` on the wire. */
  expected = 0;
  acknowledged = 0;
  /** What came early, by number. */
  readonly held = new Map<number, Data>();
  /** It holds so much that each change is counted; who counts resets it. */
  isHeavy = false;
  /** Bytes of it in the account of the session: who counts sets it. */
  counted = 0;
  /** Likewise: when what was not whole then began. */
  countedSince = Infinity;
  /** Whether the far side does not know all that `ack` says. */
  hasNews = false;
  /** News that counts towards `ACK_EVERY`. */
  pending = 0;
  /** Something came twice since this was last set to false. */
  wasRepeated = false;
  /** When the news has waited `ACK_WITHIN`; meaningless without news. */
  ackAt = 0;
  /** Its number on the wire. */
  readonly lane: number;
  private heldBytes = 0;
  private heldSince = Infinity;
  /** Number and size of each message delivered and not acknowledged, in order. */
  private readonly waiting: [number: number, size: number][] = [];
  private waitingBytes = 0;
  /** Numbers acknowledged before older ones. */
  private readonly done = new Set<number>();
  private readonly joiner: Joiner;
  /**
   * What numbers given to the upper layer have above those of the wire: with each restart of the
   * far side it is more than all that were given before, so that a late acknowledgement of an old
   * message never touches a new one.
   */
  private offset = 0;

  /**
   * @param payloadType what is delivered
   * @param maxMessageBytes longest message taken
   * @param waits whether messages are acknowledged by `acknowledge`, not by delivery
   * @param isReply whether it is the reply lane of `payloadType`
   */
  constructor(
    readonly payloadType: ByteLane,
    maxMessageBytes: number,
    readonly waits: boolean,
    readonly isReply = false,
  ) {
    this.lane = isReply ? payloadType + FIRST_REPLY_LANE : payloadType;
    this.joiner = new Joiner(maxMessageBytes);
  }

  /** Whether nothing is held for the far side to complete or this side to acknowledge. */
  get isEmpty(): boolean {
    return this.held.size === 0 && this.waiting.length === 0 && this.joiner.isEmpty;
  }

  /**
   * Bytes held back, in unfinished messages, or waiting for `acknowledge`, with what holding them
   * costs.
   */
  get allBytes(): number {
    const early = this.heldBytes + HELD_COST * this.held.size;
    return early + this.joiner.allBytes + this.waitingBytes;
  }

  /** When something that is not whole began to be held, seconds; Infinity: nothing is. */
  get since(): number {
    return Math.min(this.joiner.since, this.held.size > 0 ? this.heldSince : Infinity);
  }

  /**
   * Takes one frame; appends to `out` what can be delivered now. Throws `RemoteProtocolError` if it
   * is beyond the credit, or contradicts its neighbours, `LimitError` if more bytes are held than
   * the far side had credit for.
   */
  receive(frame: Data, now: number, out: Delivery[]): void {
    if (!this.hasNews) {
      this.hasNews = true;
      this.ackAt = now + ACK_WITHIN;
    }
    const isEarly = frame.seq !== this.expected;
    if (isRun(frame) && (isEarly || this.held.size > 0)) {
      // Some of it may have come before, or be beyond what has credit.
      for (const single of singles(frame)) {
        this.receive(single, now, out);
      }
      return;
    }
    if (isEarly) {
      this.hold(frame, now);
      return;
    }
    this.advance(frame, now, out);
    for (let next = this.held.get(this.expected); next; next = this.held.get(this.expected)) {
      this.held.delete(next.seq);
      this.heldBytes -= next.payload.length;
      this.advance(next, now, out);
    }
  }

  private hold(frame: Data, now: number): void {
    const { seq } = frame;
    if (seq < this.expected || this.held.has(seq)) {
      this.duplicates++;
      this.wasRepeated = true;
      return;
    }
    if (seq >= this.expected + WINDOW_FRAMES) {
      throw new RemoteProtocolError(`frame ${seq} while ${this.expected} is awaited`);
    }
    if (this.held.size === 0) {
      this.heldSince = now;
    }
    this.isHeavy = true;
    this.heldBytes += frame.payload.length;
    this.held.set(seq, { ...frame, payload: frame.payload.slice() });
    if (this.heldBytes > WINDOW_BYTES) {
      throw new LimitError("bytes held back", WINDOW_BYTES, this.heldBytes);
    }
  }

  private advance(frame: Data, now: number, out: Delivery[]): void {
    const count = isRun(frame) ? frameCount(frame.payload.length) : 1;
    this.expected = frame.seq + count;
    const message = this.joiner.add(frame, now, count);
    if (message === null) {
      this.isHeavy = true;
      this.note(frame.payload.length);
    } else {
      this.deliver(this.expected - 1, message, out);
    }
  }

  private deliver(seq: number, message: Uint8Array, out: Delivery[]): void {
    this.messages++;
    const number = this.isReply ? UNNUMBERED : this.offset + seq;
    out.push({ payloadType: this.payloadType, message, number });
    if (this.waits) {
      this.waiting.push([number, message.length]);
      this.waitingBytes += message.length;
      this.isHeavy ||= this.waitingBytes > LIGHT_BYTES;
      this.checkWaiting();
    } else {
      this.acknowledged = seq + 1;
      this.note(message.length);
    }
  }

  private note(size: number): void {
    this.pending += size >= LONG_BYTES ? 2 : 1;
  }

  /** No credit covers more than this: a remote that ignores it would fill this process. */
  private checkWaiting(): void {
    const count = this.waiting.length;
    if (count > 2 * WINDOW_FRAMES) {
      throw new LimitError("messages not yet stored", 2 * WINDOW_FRAMES, count);
    }
    // The last frame that has credit may end a message of which the rest had it before.
    const limit = WINDOW_BYTES + this.joiner.maxBytes + FRAGMENT_BYTES;
    if (this.waitingBytes > limit) {
      throw new LimitError("bytes not yet stored", limit, this.waitingBytes);
    }
  }

  /**
   * The upper layer has stored the message that was delivered with `number`. Any order, and twice,
   * is harmless; what the far side may forget grows in order.
   */
  acknowledge(number: number, now: number): void {
    const [first] = this.waiting;
    const last = this.waiting.at(-1);
    if (first === undefined || last === undefined || number < first[0]) {
      return;
    }
    if (number !== first[0]) {
      if (number <= last[0]) {
        this.done.add(number);
      }
      return;
    }
    this.forgetFirst();
    while (this.waiting.length > 0 && this.done.delete(this.waiting[0]![0])) {
      this.forgetFirst();
    }
    this.pending++;
    if (!this.hasNews) {
      this.hasNews = true;
      this.ackAt = now + ACK_WITHIN;
    }
  }

  private forgetFirst(): void {
    const [number, size] = this.waiting.shift()!;
    this.waitingBytes -= size;
    this.acknowledged = number - this.offset + 1;
  }

  /** What the far side should know now. */
  ack(): Ack {
    return {
      kind: Kind.ACK,
      lane: this.lane,
      received: this.expected,
      acknowledged: this.acknowledged,
      creditMessages: Math.max(0, WINDOW_FRAMES - this.waiting.length),
      creditBytes: Math.max(0, WINDOW_BYTES - this.waitingBytes),
    };
  }

  /** The far side has been sent `ack`. */
  told(): void {
    this.hasNews = false;
    this.pending = 0;
  }

  /** The far side is a new process: its numbers begin at 0 again. */
  restart(): void {
    const { messages, duplicates, payloadType, waits, isReply } = this;
    const offset = this.offset + this.expected;
    const fresh = new Receiver(payloadType, this.joiner.maxBytes, waits, isReply);
    Object.assign(this, fresh, { messages, duplicates, offset });
  }
}
