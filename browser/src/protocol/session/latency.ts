// The latency-first lane, where late is worthless (docs/protocol.md#session-frames).
//
// Nothing is acknowledged or sent again. What waits too long before sending is dropped and counted;
// what comes twice is dropped by a window over the newest sequence numbers.

import { LIFETIME, PayloadType } from "../payload";
import { Deadline, type Deadlines } from "./deadlines";
import { cut, Reassembler } from "./fragments";
import { type Data, FRAGMENT_BYTES } from "./frames";
import type { Delivery } from "./receiver";
import { isRun, singles } from "./runs";
import { Outgoing } from "./sender";

/** Messages that wait before sending; one more drops the oldest. */
const MAX_QUEUED = 256;
/** Newest sequence numbers among which a repeated one is known. */
export const WINDOW = 1024;
/** Seconds between two looks at unfinished messages. */
const LOOK_EVERY = 1;

/** Messages on their way out, none older than their life. */
export class LatencySender {
  nextSeq = 0;
  /** Frames sent. */
  sent = 0;
  /** Messages accepted. */
  messages = 0;
  /** Messages dropped for age or number. */
  dropped = 0;
  heldBytes = 0;
  /** Message and when it was accepted, oldest first. */
  private readonly queue: [message: Uint8Array, at: number][] = [];
  /** What is left of a message of which fragments have gone. */
  private current: Outgoing[] = [];

  /** @param deadlines of the session: it sets `EXPIRY` there */
  constructor(private readonly deadlines: Deadlines) {}

  get isEmpty(): boolean {
    return this.queue.length === 0 && this.current.length === 0;
  }

  /** Takes one message; drops the oldest if too many wait. */
  accept(message: Uint8Array, now: number): void {
    this.messages++;
    this.heldBytes += message.length;
    this.queue.push([message, now]);
    if (this.queue.length > MAX_QUEUED) {
      this.dropOldest();
    }
    this.deadlines.hasten(Deadline.EXPIRY, this.due());
  }

  /** Whether `take` may give a frame for this wire. */
  hasWork(_wire: number, isActive: boolean): boolean {
    return isActive && !this.isEmpty;
  }

  /** The next frame to send if its payload is at most `room` bytes, or null. */
  take(_wire: number, now: number, room: number, isActive: boolean): Outgoing | null {
    if (!isActive) {
      return null;
    }
    this.expire(now);
    const [next] = this.queue;
    if (this.current.length === 0 && next !== undefined) {
      if (next[0].length > room && room < FRAGMENT_BYTES) {
        return null;
      }
      this.queue.shift();
      this.cut(...next);
    }
    const [frame] = this.current;
    if (frame === undefined || frame.size > room) {
      return null;
    }
    this.current.shift();
    this.heldBytes -= frame.size;
    this.sent++;
    return frame;
  }

  private cut(message: Uint8Array, at: number): void {
    const first = this.nextSeq;
    this.current = cut(message, first).map(([head, data], index) => {
      const frame = new Outgoing(first, first + index, head, data, data.length);
      frame.at = at;
      return frame;
    });
    this.nextSeq = first + this.current.length;
  }

  /** Drops what is older than its life. */
  expire(now: number): void {
    const oldest = now - LIFETIME;
    if (this.current.length > 0 && this.current[0]!.at < oldest) {
      this.dropCurrent();
    }
    while (this.queue.length > 0 && this.queue[0]![1] < oldest) {
      this.dropOldest();
    }
  }

  /** When the oldest message that waits becomes too old; Infinity if none waits. */
  due(): number {
    return (this.current[0]?.at ?? this.queue[0]?.[1] ?? Infinity) + LIFETIME;
  }

  /**
   * The far side is a new process; what waits may still go there. Returns the last number used, -1
   * if none.
   */
  restart(): number {
    const last = this.nextSeq - 1;
    if (this.current.length > 0) {
      this.dropCurrent();
    }
    this.nextSeq = 0;
    return last;
  }

  private dropCurrent(): void {
    this.dropped++;
    for (const frame of this.current) {
      this.heldBytes -= frame.size;
    }
    this.current = [];
  }

  private dropOldest(): void {
    this.heldBytes -= this.queue.shift()![0].length;
    this.dropped++;
  }
}

/** Messages on their way in: in any order, each at most once. */
export class LatencyReceiver {
  /** Messages delivered. */
  messages = 0;
  /** Frames that had come before, or came too late to tell. */
  duplicates = 0;
  private readonly parts: Reassembler;
  private newest = -1;
  /** The number that came last in each place: of each, its rest by `WINDOW` says where. */
  private readonly seen = new Float64Array(WINDOW).fill(-1);

  /**
   * @param deadlines of the session: it sets `EXPIRY` there
   * @param maxMessageBytes bytes held for unfinished messages
   */
  constructor(
    private readonly deadlines: Deadlines,
    maxMessageBytes: number,
  ) {
    this.parts = new Reassembler(maxMessageBytes);
  }

  /** One above the newest number seen. */
  get expected(): number {
    return this.newest + 1;
  }

  get isEmpty(): boolean {
    return this.parts.isEmpty;
  }

  /** Bytes of unfinished messages, with what holding them costs. */
  get allBytes(): number {
    return this.parts.allBytes;
  }

  /** When the oldest unfinished message began, seconds; Infinity: there is none. */
  get since(): number {
    return this.parts.since;
  }

  /** Messages given up because fragments of them did not come. */
  get unfinished(): number {
    return this.parts.givenUp;
  }

  /**
   * Takes one frame; appends the message that it completes to `out`. Throws `RemoteProtocolError` if
   * it contradicts another fragment of its message.
   */
  receive(frame: Data, now: number, out: Delivery[]): void {
    if (isRun(frame)) {
      for (const single of singles(frame)) {
        this.receive(single, now, out);
      }
      return;
    }
    if (this.isRepeated(frame.seq)) {
      this.duplicates++;
      return;
    }
    const message = frame.parts > 1 ? this.parts.add(frame, now) : frame.payload;
    if (message === null) {
      this.deadlines.hasten(Deadline.EXPIRY, this.due(now));
    } else {
      this.messages++;
      const payloadType = PayloadType.STREAM_LATENCY_FIRST;
      out.push({ payloadType, message, number: frame.seq - frame.part });
    }
  }

  private isRepeated(seq: number): boolean {
    const place = seq % WINDOW;
    if (seq <= this.newest - WINDOW || this.seen[place] === seq) {
      return true;
    }
    this.seen[place] = seq;
    this.newest = Math.max(this.newest, seq);
    return false;
  }

  /** When to look at unfinished messages again; Infinity if there is none. */
  due(now: number): number {
    return this.isEmpty ? Infinity : now + LOOK_EVERY;
  }

  /** Forgets unfinished messages that are too old. */
  expire(now: number): void {
    this.parts.expire(now);
  }

  /** The far side is a new process: its numbers begin at 0 again. */
  restart(): void {
    this.parts.clear();
    this.newest = -1;
    this.seen.fill(-1);
  }
}
