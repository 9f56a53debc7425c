// The receiving half of a stream (docs/protocol/streams.md).

import { LimitError, RemoteProtocolError } from "../errors";
import type { StreamLane } from "../protocol/payload";
import type { Clock } from "../protocol/streams/age";
import { type Chunk, type Credit, encodeCredit, encodeStreamCancel } from "../protocol/streams/chunks";
import { ReadingHalf } from "../protocol/streams/halves";
import { isOver } from "../protocol/streams/states";
import type { Link } from "./link";
import { isMetered, say } from "./stream-writer";

/**
 * Seconds that the end of a latency-first channel waits for items that it overtook: their life of
 * 0.1 s and a margin for the path.
 */
export const LINGER = 0.25;

/**
 * An async iterator of items, for one consumer. A clean end ends the iteration; an error of the far
 * side or of the link is thrown after the items that came before it.
 */
export class StreamReader implements AsyncIterableIterator<Chunk> {
  /** Whether the far side has ended its half, well or with an error. */
  hasHeardEnd = false;
  private readonly half: ReadingHalf;
  private onArrival: (() => void) | null = null;

  /**
   * @param clock of the remote, as its latency-first items show it
   * @param over told that nothing more is heard; what is held may still be taken
   */
  constructor(
    private readonly link: Link,
    readonly channelId: string,
    payloadType: StreamLane,
    private readonly clock: Clock,
    private readonly over: (reader: StreamReader) => void,
  ) {
    this.half = new ReadingHalf(isMetered(payloadType));
  }

  /** Takes a window of items, of which the far side knows. */
  listen(): Credit {
    return this.half.listen();
  }

  /** Takes a window of items, and tells the far side. */
  grantFirst(): void {
    say(this.link, encodeCredit(this.channelId, this.half.listen()));
  }

  /** Takes one item, the end or the error of the far half; if it broke the rules, it is told to stop. */
  deliver(chunk: Chunk): void {
    const { half } = this;
    if (chunk.sentAt > 0 && !half.isMetered) {
      chunk.bornAt = this.clock.sentAt(chunk.sentAt, this.link.now());
    }
    try {
      half.receive(chunk);
    } catch (error) {
      if (!(error instanceof RemoteProtocolError || error instanceof LimitError)) {
        throw error;
      }
      this.tellToStop();
      this.finish();
      return;
    }
    if (chunk.kind !== "item") {
      this.hasHeardEnd = true;
      if (half.isShort) {
        this.link.time.after(LINGER, () => {
          half.giveUpOnLate();
          this.finish();
        });
      } else {
        this.finish();
      }
    }
    this.wake();
  }

  /** Ends with `error` once the items that are here have been taken; the far half is told to stop. */
  fail(error: Error): void {
    if (this.half.fail(error)) {
      if (!this.hasHeardEnd) {
        this.tellToStop();
      }
      this.finish();
    }
  }

  /** The far half is gone: as `fail`, and nothing is said. */
  lose(error: Error): void {
    if (this.half.fail(error)) {
      this.finish();
    }
  }

  /** Takes no more: the far half is told to stop. Harmless when it has ended. */
  close(): void {
    if (this.half.close()) {
      this.tellToStop();
    }
    this.finish();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    for (;;) {
      const value = this.take();
      if (value !== undefined) {
        return { done: false, value };
      }
      if (isOver(this.half.state)) {
        if (this.half.error !== null) {
          throw this.half.error;
        }
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        this.onArrival = resolve;
      });
    }
  }

  private take(): Chunk | undefined {
    const { half } = this;
    if (!half.isMetered) {
      half.dropStale(this.link.now());
    }
    const chunk = half.take();
    const credit = half.due();
    if (credit !== null) {
      say(this.link, encodeCredit(this.channelId, credit));
    }
    return chunk;
  }

  private tellToStop(): void {
    say(this.link, encodeStreamCancel(this.channelId));
  }

  private finish(): void {
    this.wake();
    this.over(this);
  }

  private wake(): void {
    this.onArrival?.();
    this.onArrival = null;
  }
}
