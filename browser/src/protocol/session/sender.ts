// The sending half of one reliable lane (docs/protocol.md).
//
// It keeps every message until the far side has acknowledged its last frame, and says which frame
// goes out next, on which wire. One frame is in one of four stretches of the sequence:
//
//     acknowledged ... received ... unsent ... nextSeq
//       |  retained only  |  in flight  |  waiting  |
//
// A frame in flight that is not acknowledged in time is sent again on another wire: no wire is
// called dead for that.

import { RemoteProtocolError } from "../../errors";
import { doubled } from "../wire/backoff";
import { frameCount } from "./fragments";
import { type Ack, dataHead, FRAGMENT_BYTES } from "./frames";
import { type Flight, FRAME_COST } from "./wires/flight";

export const WINDOW_FRAMES = 1024;
export const WINDOW_BYTES = 4 * 1024 * 1024;
/** Seconds: the longest that doubling lets the same frame wait for its next sending. */
const MAX_WAIT = 8;
const ANY_WIRE = 0;

/** How long to wait for an acknowledgement of what went over one wire, in seconds. */
export interface Timing {
  /** Before it is sent again on another wire. */
  readonly other: number;
  /** Before it is sent again on the same wire; doubles. */
  readonly same: number;
}

/** One frame that the far side has not acknowledged. */
export class Outgoing {
  /** When it was last sent. */
  at = 0;
  /** Id of the wire on which it was last sent. */
  wire = ANY_WIRE;
  tries = 0;
  /** Whether it waits in `Sender.repeats`. */
  isQueued = false;

  /**
   * @param first number of the first frame of its message
   * @param head null, of a fragment of a reliable lane: `runs` writes it when it is known what goes
   *   beside it
   * @param data its payload; of such a fragment the whole message
   * @param size of its payload, bytes
   */
  constructor(
    readonly first: number,
    readonly seq: number,
    readonly head: Uint8Array | null,
    readonly data: Uint8Array,
    readonly size: number,
  ) {}
}

/** One reliable lane's messages on their way out. */
export class Sender {
  /** Frames sent for the first time. */
  sent = 0;
  resent = 0;
  /** Messages accepted. */
  messages = 0;
  /** Keys are sequence numbers, `acknowledged` to `nextSeq` without gaps. */
  frames = new Map<number, Outgoing>();
  acknowledged = 0;
  received = 0;
  unsent = 0;
  nextSeq = 0;
  /** The first number that the far side has no room for. */
  edge = WINDOW_FRAMES;
  creditBytes = WINDOW_BYTES;
  heldBytes = 0;
  flightBytes = 0;
  /** To be sent again, by the id of the wire to take, or `ANY_WIRE`; mostly empty. */
  repeats = new Map<number, Outgoing[]>();
  private askAt = Infinity;
  private askAfter = 0;

  /**
   * @param flag of its frames: `REPLY_FLAG` or 0
   * @param flight how much of it may be under way
   * @param isBulk whether that holds for all its frames: else it holds for fragments only, and what
   *   is urgent and short is not held
   */
  constructor(
    readonly flag: number,
    readonly flight: Flight,
    readonly isBulk: boolean,
  ) {}

  /** Whether everything accepted is acknowledged. */
  get isEmpty(): boolean {
    return this.acknowledged === this.nextSeq;
  }

  /** How much more bulk may be under way; below 0 where the bound has become less. */
  get spareBytes(): number {
    const frames = this.unsent - this.received;
    return this.flight.limit - this.flightBytes - FRAME_COST * frames;
  }

  /** Whether a message of `size` bytes fits the window; any message fits an empty one. */
  hasRoom(size: number): boolean {
    const frames = this.nextSeq - this.acknowledged;
    return (
      frames === 0 ||
      (size <= WINDOW_BYTES - this.heldBytes && frames + frameCount(size) <= WINDOW_FRAMES)
    );
  }

  /** Takes one message, whatever the window says. */
  accept(message: Uint8Array): void {
    const first = this.nextSeq;
    const size = message.length;
    if (size <= FRAGMENT_BYTES) {
      this.keep(new Outgoing(first, first, dataHead(first, size, this.flag), message, size));
    } else {
      for (let left = size; left > 0; left -= FRAGMENT_BYTES) {
        this.keep(new Outgoing(first, this.nextSeq, null, message, Math.min(left, FRAGMENT_BYTES)));
      }
    }
    this.heldBytes += size;
    this.messages++;
  }

  private keep(frame: Outgoing): void {
    this.frames.set(frame.seq, frame);
    this.nextSeq = frame.seq + 1;
  }

  /** Whether `take` would give a frame for this wire; may say so in vain. */
  hasWork(wire: number, isActive: boolean): boolean {
    if (this.repeats.size > 0 && (this.repeats.has(wire) || (isActive && this.repeats.has(ANY_WIRE)))) {
      return true;
    }
    return isActive && this.unsent < this.nextSeq && this.unsent < this.edge;
  }

  /**
   * The next frame to send on this wire, or null; it counts as sent.
   *
   * @param room payload bytes that the wire message can still take
   * @param isActive whether new frames go this way; repeats may go any way
   */
  take(wire: number, now: number, room: number, isActive: boolean): Outgoing | null {
    if (this.repeats.size > 0) {
      const repeat = this.takeRepeat(wire, room, isActive);
      if (repeat !== null) {
        repeat.at = now;
        repeat.wire = wire;
        repeat.tries++;
        this.resent++;
        return repeat;
      }
    }
    const seq = this.unsent;
    if (!isActive || seq >= this.nextSeq || seq >= this.edge) {
      return null;
    }
    const frame = this.frames.get(seq)!;
    const { size } = frame;
    if (size > room) {
      return null;
    }
    const isOverCredit = this.flightBytes + size > this.creditBytes;
    if (isOverCredit && (this.flightBytes > 0 || this.creditBytes === 0)) {
      return null;
    }
    const isHeld = this.isBulk || frame.head === null;
    if (isHeld && this.flightBytes > 0 && size > this.spareBytes) {
      this.flight.wasHeld = true;
      return null;
    }
    this.markSent(frame, now, wire);
    return frame;
  }

  /** A frame, the first that was unsent, goes out. */
  markSent(frame: Outgoing, now: number, wire: number): void {
    this.unsent = frame.seq + 1;
    this.flightBytes += frame.size;
    this.sent++;
    frame.at = now;
    frame.wire = wire;
    frame.tries = 1;
  }

  private takeRepeat(wire: number, room: number, isActive: boolean): Outgoing | null {
    for (const target of isActive ? [wire, ANY_WIRE] : [wire]) {
      const queue = this.repeats.get(target) ?? [];
      for (let frame = queue[0]; frame !== undefined; frame = queue[0]) {
        if (frame.seq < this.received) {
          queue.shift(); // it arrived after all
          continue;
        }
        if (frame.size > room) {
          return null;
        }
        queue.shift();
        frame.isQueued = false;
        return frame;
      }
      this.repeats.delete(target);
    }
    return null;
  }

  /**
   * Takes word from the far side. Returns a frame that was sent once and has just arrived, to
   * measure its round trip (Karn's rule leaves out what was sent again), or null. Throws
   * `RemoteProtocolError` if it speaks of frames that were never sent.
   */
  onAck(ack: Ack, now: number): Outgoing | null {
    const sample = this.onReceived(ack.received, now);
    const hasMoved = sample !== null || ack.acknowledged > this.acknowledged;
    this.edge = Math.max(this.edge, ack.received + ack.creditMessages);
    for (let seq = this.acknowledged; seq < ack.acknowledged; seq++) {
      this.heldBytes -= this.frames.get(seq)!.size;
      this.frames.delete(seq);
    }
    this.acknowledged = Math.max(this.acknowledged, ack.acknowledged);
    if (ack.received === this.received && ack.acknowledged === this.acknowledged) {
      this.creditBytes = ack.creditBytes; // an older one that comes late says less
    }
    if (hasMoved) {
      this.planAsk(now);
    }
    if (sample === null || sample.tries > 1) {
      return null;
    }
    this.flight.roundTrip(now - sample.at, now);
    return sample;
  }

  /**
   * The far side says on a new wire that it has all frames below `received`. Throws
   * `RemoteProtocolError` if so many were never sent.
   */
  onHello(received: number, now: number): void {
    this.onReceived(received, now);
    this.planAsk(now);
  }

  /** The newest frame that has just arrived, or null. */
  private onReceived(received: number, now: number): Outgoing | null {
    if (received <= this.received) {
      return null;
    }
    if (received > this.unsent) {
      throw new RemoteProtocolError(`${received} frames acknowledged, ${this.unsent} sent`);
    }
    let size = 0;
    for (let seq = this.received; seq < received; seq++) {
      size += this.frames.get(seq)!.size;
    }
    this.flightBytes -= size;
    this.flight.arrived(size + FRAME_COST * (received - this.received), now);
    this.received = received;
    return this.frames.get(received - 1)!;
  }

  private planAsk(now: number): void {
    // All has arrived, not all is acknowledged: the acknowledgement may yet be lost.
    if (this.acknowledged < this.received && this.received === this.unsent) {
      this.askAfter = 1;
      this.askAt = now + this.askAfter;
    } else {
      this.askAt = Infinity;
    }
  }

  /** Sends again what went out on this wire and is not known to have arrived. */
  wireLost(wire: number): void {
    const queued = this.repeats.get(wire) ?? [];
    this.repeats.delete(wire);
    for (const frame of queued) {
      this.repeat(frame, ANY_WIRE);
    }
    for (let seq = this.received; seq < this.unsent; seq++) {
      const frame = this.frames.get(seq)!;
      if (frame.wire === wire && !frame.isQueued) {
        this.repeat(frame, ANY_WIRE);
      }
    }
  }

  private repeat(frame: Outgoing, target: number): void {
    frame.isQueued = true;
    const queue = this.repeats.get(target);
    if (queue === undefined) {
      this.repeats.set(target, [frame]);
    } else {
      queue.push(frame);
    }
  }

  /**
   * Queues what has waited too long, each for the best wire that did not carry it last.
   *
   * @param wires the usable wires, best first, by id
   */
  repeatOverdue(now: number, wires: ReadonlyMap<number, Timing>): void {
    for (const [target, queue] of [...this.repeats]) {
      if (target !== ANY_WIRE && !wires.has(target)) {
        this.repeats.delete(target);
        for (const frame of queue) {
          this.repeat(frame, ANY_WIRE);
        }
      }
    }
    if (this.frameDueFirst(wires) > now) {
      return;
    }
    for (let seq = this.received; seq < this.unsent; seq++) {
      const frame = this.frames.get(seq)!;
      if (!frame.isQueued && Sender.frameDue(frame, wires) <= now) {
        const other = [...wires.keys()].find((wire) => wire !== frame.wire);
        this.repeat(frame, other ?? frame.wire);
      }
    }
  }

  /** When `repeatOverdue` or an ASK is next needed, in seconds. */
  due(wires: ReadonlyMap<number, Timing>): number {
    return wires.size > 0 ? Math.min(this.askAt, this.frameDueFirst(wires)) : Infinity;
  }

  private frameDueFirst(wires: ReadonlyMap<number, Timing>): number {
    // The first frame holds up all others at the far side: it is the one to watch.
    if (this.received === this.unsent || wires.size === 0) {
      return Infinity;
    }
    const frame = this.frames.get(this.received)!;
    return frame.isQueued ? Infinity : Sender.frameDue(frame, wires);
  }

  private static frameDue(frame: Outgoing, wires: ReadonlyMap<number, Timing>): number {
    const timing = wires.get(frame.wire);
    if (timing === undefined) {
      return frame.at;
    }
    if (frame.tries === 1 && wires.size > 1) {
      return frame.at + timing.other;
    }
    const failures = wires.size > 1 ? frame.tries - 1 : frame.tries;
    return frame.at + doubled(timing.same, failures, Math.max(MAX_WAIT, timing.same));
  }

  /** Whether to ask the far side now for a lost acknowledgement; rarer each time. */
  ask(now: number): boolean {
    if (now < this.askAt) {
      return false;
    }
    this.askAfter = Math.min(2 * this.askAfter, MAX_WAIT);
    this.askAt = now + this.askAfter;
    return true;
  }

  /**
   * The far side is a new process: number from 0 again. Returns the last number that the old process
   * acknowledged, -1 if none.
   *
   * @param isKept whether messages that are not acknowledged are sent again, whole and in order;
   *   otherwise they are dropped
   */
  restart(isKept: boolean): number {
    const last = this.acknowledged - 1;
    const kept = isKept ? this.unacknowledged() : [];
    const { sent, resent, messages } = this;
    Object.assign(this, new Sender(this.flag, this.flight, this.isBulk), { sent, resent });
    for (const message of kept) {
      this.accept(message);
    }
    this.messages = messages;
    return last;
  }

  /** All messages that are not acknowledged, whole, in order. */
  private unacknowledged(): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let last = -1;
    for (const frame of this.frames.values()) {
      if (frame.first !== last) {
        last = frame.first;
        messages.push(frame.data);
      }
    }
    return messages;
  }
}
