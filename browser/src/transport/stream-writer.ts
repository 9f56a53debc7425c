// The sending half of a stream (docs/protocol/streams.md).
//
// What a half counts and decides is `protocol/streams/halves`; this waits, says and wakes. Items
// travel on the lane of the method's payload type; word about the channel (end, error, credit,
// cancel) travels on STREAM_RELIABLE, for a lost end would leave the reader waiting.

import { type CallError, ClosedError } from "../errors";
import { PayloadType, type StreamLane } from "../protocol/payload";
import type { Metadata } from "../protocol/rpc/bounds";
import { type Credit, encodeEnd, encodeItem } from "../protocol/streams/chunks";
import { WritingHalf } from "../protocol/streams/halves";
import { State } from "../protocol/streams/states";
import type { Link } from "./link";

/** Whether items of this kind spend credit. */
export function isMetered(payloadType: StreamLane): boolean {
  return payloadType === PayloadType.STREAM_RELIABLE;
}

/** Posts word about a stream; with a link that is gone, by this too, nobody is there to hear it. */
export function say(link: Link, message: Uint8Array): void {
  if (link.refusal() !== null) {
    return;
  }
  try {
    link.lane(PayloadType.STREAM_RELIABLE).post(message);
  } catch (error) {
    if (link.refusal() === null) {
      throw error;
    }
  }
}

/** Items go as wholes, in the order of the calls. Closing it is `end`. */
export class StreamWriter {
  /** Called once when the far side cancels or the link breaks. */
  onStop: ((error: Error) => void) | null = null;
  private readonly half: WritingHalf;
  /** What the next item waits for: that the one before has gone. */
  private before: Promise<void> = Promise.resolve();
  private waiting = 0;
  private onMove: (() => void) | null = null;
  private lastWord: CallError | null = null;

  /**
   * @param credit what the far side takes; null: it says so when it listens
   * @param over told that nothing more is sent or heard
   */
  constructor(
    private readonly link: Link,
    readonly channelId: string,
    private readonly payloadType: StreamLane,
    credit: Credit | null,
    private readonly over: (writer: StreamWriter) => void,
  ) {
    this.half = new WritingHalf(credit, isMetered(payloadType));
  }

  /** Whether no item can be sent any more. */
  get isStopped(): boolean {
    return this.half.state !== State.WAITING && this.half.state !== State.OPEN;
  }

  /** Waits until the far side takes something; rejects as `send`. */
  async opened(): Promise<void> {
    while (!this.half.maySend) {
      this.check();
      await new Promise<void>((resolve) => {
        this.onMove = resolve;
      });
    }
  }

  /**
   * Sends one item; waits while the far side can take none. Rejects with `BrokenError` if the far side
   * takes no more or the link broke, `ClosedError` if this half was ended here, `LimitError` if the
   * item is longer than a message may be.
   */
  async send(data: Uint8Array, metadata: Metadata = {}): Promise<void> {
    const { before } = this;
    this.waiting++;
    const sending = (this.waiting > 1 ? before : Promise.resolve()).then(() => this.sendOne(data, metadata));
    this.before = sending.catch(() => {});
    try {
      await sending;
    } finally {
      this.waiting--;
    }
  }

  private async sendOne(data: Uint8Array, metadata: Metadata): Promise<void> {
    await this.opened();
    const sentAt = isMetered(this.payloadType) ? 0 : Math.floor(this.link.now() * 1e6);
    const message = encodeItem(this.channelId, this.half.sent, data, { metadata, sentAt });
    await this.link.lane(this.payloadType).send(message, { check: () => this.check() });
    this.half.spend(message.length);
  }

  /** An item that waited for room does not go behind the end, nor to another process. */
  private check(): void {
    if (this.isStopped) {
      throw this.half.error ?? new ClosedError(`stream ${this.channelId} was ended on this side`);
    }
  }

  /** Ends this half, well or with an error; harmless when it has ended. Never throws. */
  end(error: CallError | null = null): void {
    if (this.isStopped) {
      return;
    }
    this.lastWord = error;
    if (this.half.end()) {
      this.sayEnd();
    }
    this.wake();
  }

  /** Nobody waits for who listens late: what `end` has not said by now is not said. */
  leave(): void {
    this.over(this);
  }

  /** The far side takes so much more. */
  grant(credit: Credit): void {
    if (this.half.grant(credit)) {
      this.sayEnd();
    }
    this.wake();
  }

  /** The far side takes no more, or is gone: senders get `error`. */
  stop(error: Error): void {
    if (this.half.fail(error)) {
      this.wake();
      this.over(this);
      this.onStop?.(error);
    }
  }

  private sayEnd(): void {
    say(this.link, encodeEnd(this.channelId, this.half.sent, this.lastWord));
    this.over(this);
  }

  private wake(): void {
    this.onMove?.();
    this.onMove = null;
  }
}
