// Messages longer than one frame are cut up, and put together again within bounds.
//
// Fragments have consecutive sequence numbers, so `seq - index` names their message. Reliable lanes
// put them together in order (`Joiner`); the latency-first lane takes them in any order, and
// forgets the unfinished (`Reassembler`).

import { LimitError, RemoteProtocolError } from "../../errors";
import { concat } from "../bytes";
import { type Data, dataHead, FRAGMENT_BYTES, fragmentHead, MAX_FRAGMENTS } from "./frames";

/** Bytes that keeping a fragment takes beside its payload, about: of many short ones, all. */
const PART_COST = 128;
/** Fragments of unfinished messages of the latency-first lane: of 16 MiB there are 1033. */
const MAX_PARTS = 16 * 1024;
const MAX_PARTIALS = 64;
/** Seconds that an unfinished message may wait for its other fragments. */
const MAX_AGE = 10;

/** Frames that a message of `size` bytes takes. */
export function frameCount(size: number): number {
  return Math.max(1, Math.ceil(size / FRAGMENT_BYTES));
}

/**
 * Head and payload of each frame of `message`, the first one numbered `seq`. Payloads of fragments
 * are views of it. Throws `LimitError` if it needs more fragments than a count can say.
 */
export function cut(message: Uint8Array, seq: number): [head: Uint8Array, payload: Uint8Array][] {
  const count = frameCount(message.length);
  if (count === 1) {
    return [[dataHead(seq, message.length), message]];
  }
  if (count > MAX_FRAGMENTS) {
    throw new LimitError("fragments of a message", MAX_FRAGMENTS, count);
  }
  return Array.from({ length: count }, (_, index) => {
    const part = message.subarray(index * FRAGMENT_BYTES, (index + 1) * FRAGMENT_BYTES);
    return [fragmentHead(seq + index, part.length, index, count), part];
  });
}

/** One message at a time from fragments that come in order, each once. */
export class Joiner {
  heldBytes = 0;
  /** When the unfinished message began, seconds; Infinity: there is none. */
  since = Infinity;
  private held: Uint8Array[] = [];
  /** Fragments that have come. */
  private taken = 0;
  private count = 1;

  /** @param maxBytes longest message */
  constructor(readonly maxBytes: number) {}

  get isEmpty(): boolean {
    return this.held.length === 0;
  }

  /** What is held, with what holding it costs. */
  get allBytes(): number {
    return this.heldBytes + PART_COST * this.held.length;
  }

  /**
   * Takes the next frame of the lane, which stands for `fragments`; returns the message that it
   * completes, or null. Throws `RemoteProtocolError` if it is not the fragment that must come now,
   * `LimitError` if the message becomes longer than `maxBytes`.
   */
  add(frame: Data, now: number, fragments: number): Uint8Array | null {
    if (frame.part !== this.taken || (this.taken > 0 && frame.parts !== this.count)) {
      throw new RemoteProtocolError(
        `fragment ${frame.part} of ${frame.parts} after ${this.taken} of ${this.count}`,
      );
    }
    const size = this.heldBytes + frame.payload.length;
    if (size > this.maxBytes) {
      throw new LimitError("bytes of a message", this.maxBytes, size);
    }
    const taken = this.taken + fragments;
    if (taken < frame.parts) {
      if (this.isEmpty) {
        this.since = now;
      }
      this.count = frame.parts;
      this.taken = taken;
      this.heldBytes = size;
      // Its wire message may be far longer than what is kept of it.
      this.held.push(frame.payload.slice());
      return null;
    }
    if (frame.parts === 1) {
      return frame.payload;
    }
    const message = concat([...this.held, frame.payload]);
    this.clear();
    return message;
  }

  /** Forgets what was held. */
  clear(): void {
    this.held = [];
    this.taken = 0;
    this.count = 1;
    this.heldBytes = 0;
    this.since = Infinity;
  }
}

interface Partial {
  readonly count: number;
  readonly startedAt: number;
  /** Keys are indexes. */
  readonly parts: Map<number, Uint8Array>;
  size: number;
}

/**
 * Messages from fragments that may come out of order, twice, or never. What is over a bound pushes
 * out the oldest unfinished message, for here late is worthless.
 */
export class Reassembler {
  heldBytes = 0;
  /** Messages that were never finished. */
  givenUp = 0;
  private heldParts = 0;
  /** Keys are the sequence numbers of first fragments; oldest first. */
  private readonly partials = new Map<number, Partial>();

  /** @param maxBytes held for unfinished messages, over all of them */
  constructor(private readonly maxBytes: number) {}

  get isEmpty(): boolean {
    return this.partials.size === 0;
  }

  /** When the oldest unfinished message began, seconds; Infinity: there is none. */
  get since(): number {
    const [oldest] = this.partials.values();
    return oldest === undefined ? Infinity : oldest.startedAt;
  }

  /** What is held, with what holding it costs. */
  get allBytes(): number {
    return this.heldBytes + PART_COST * this.heldParts;
  }

  /**
   * Takes one fragment; returns the message that it completes, or null. Throws
   * `RemoteProtocolError` if it contradicts an earlier fragment.
   */
  add(frame: Data, now: number): Uint8Array | null {
    const key = frame.seq - frame.part;
    let partial = this.partials.get(key);
    if (partial === undefined) {
      if (this.partials.size >= MAX_PARTIALS) {
        this.giveUpOldest();
      }
      partial = { count: frame.parts, startedAt: now, parts: new Map(), size: 0 };
      this.partials.set(key, partial);
    } else if (partial.count !== frame.parts) {
      throw new RemoteProtocolError(`message ${key} of ${partial.count} and ${frame.parts} parts`);
    } else if (partial.parts.has(frame.part)) {
      return null;
    }
    partial.parts.set(frame.part, frame.payload.slice());
    partial.size += frame.payload.length;
    this.heldBytes += frame.payload.length;
    this.heldParts++;
    if (partial.parts.size === partial.count) {
      this.drop(key, partial);
      const { parts } = partial;
      return concat(Array.from({ length: partial.count }, (_, index) => parts.get(index)!));
    }
    while (this.heldBytes > this.maxBytes || this.heldParts > MAX_PARTS) {
      this.giveUpOldest();
    }
    return null;
  }

  /** Forgets unfinished messages that are too old. */
  expire(now: number): void {
    for (const [key, partial] of this.partials) {
      if (now - partial.startedAt > MAX_AGE) {
        this.givenUp++;
        this.drop(key, partial);
      }
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.partials.clear();
    this.heldBytes = this.heldParts = 0;
  }

  private giveUpOldest(): void {
    for (const [key, partial] of this.partials) {
      this.givenUp++;
      this.drop(key, partial);
      return;
    }
  }

  private drop(key: number, partial: Partial): void {
    this.partials.delete(key);
    this.heldBytes -= partial.size;
    this.heldParts -= partial.parts.size;
  }
}
