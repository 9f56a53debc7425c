// Lanes: one payload type's way to one remote, whatever is below.
//
// A lane takes a message and sends it over the wires of its link. The same bytes arrive at the far
// link's sink.

import { LimitError } from "../errors";
import { type ByteLane, MAX_MESSAGE_BYTES } from "../protocol/payload";
import { LatencySender } from "../protocol/session/latency";
import type { Sender } from "../protocol/session/sender";

/** What may be posted and not acknowledged: a remote that takes no replies is dropped there. */
const MAX_POSTED_BYTES = 64 * 1024 * 1024;
const MAX_POSTED_FRAMES = 64 * 1024;

/** What a lane needs of its link. */
export interface LaneOwner {
  now(): number;
  /** Something was accepted: send it in this turn if a wire takes it. */
  accepted(): void;
  /** Why nothing can be sent any more; null while it can. */
  refusal(): Error | null;
  /** The far side takes nothing of what is posted: drop it. */
  overrun(error: LimitError): void;
  readonly remoteMaxBytes: number;
}

interface Waiter {
  readonly message: Uint8Array;
  /** Throws where the message is not to go any more. */
  readonly check: (() => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Lane {
  /** Who waits for room, in order. */
  private waiters: Waiter[] = [];

  /** @param replies of what answers this lane's messages, RPC lanes only */
  constructor(
    private readonly owner: LaneOwner,
    readonly payloadType: ByteLane,
    private readonly sender: Sender | LatencySender,
    private readonly replies: Sender | null,
  ) {}

  /** Whether someone waits for room. */
  get isCrowded(): boolean {
    return this.waiters.length > 0;
  }

  /**
   * Takes `message` for delivery; waits while the window is full.
   *
   * Resolving means accepted: it is sent on the first wire there is, and again until the far side
   * acknowledges it or the link is gone. The latency-first lane never waits: it drops its oldest
   * message instead, and counts it. Aborting while waiting sends nothing.
   *
   * Rejects with `LimitError` if the message is longer than the far side takes, and with what ended
   * the link where it is gone.
   */
  async send(
    message: Uint8Array,
    { signal, check }: { signal?: AbortSignal | undefined; check?: () => void } = {},
  ): Promise<void> {
    signal?.throwIfAborted();
    if (this.offer(message)) {
      return;
    }
    let onAbort = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { message, check, resolve, reject };
        this.waiters.push(waiter);
        onAbort = () => {
          this.waiters = this.waiters.filter((other) => other !== waiter);
          reject(signal!.reason);
          this.wake(); // its room is another's
        };
        signal?.addEventListener("abort", onAbort);
      });
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Takes `message` if the window has room now and nobody waits; returns whether it did. */
  offer(message: Uint8Array): boolean {
    this.check(message);
    if (this.sender instanceof LatencySender) {
      this.sender.accept(message, this.owner.now());
    } else if (this.isCrowded || !this.sender.hasRoom(message.length)) {
      return false;
    } else {
      this.sender.accept(message);
    }
    this.owner.accepted();
    return true;
  }

  /** Takes `message` at once, whatever the window says: word about streams. */
  post(message: Uint8Array): void {
    this.put(this.sender as Sender, message);
  }

  /** Takes a reply, or word that a caller has left, at once; it goes by the reply lane. */
  answer(message: Uint8Array): void {
    this.put(this.replies!, message);
  }

  /**
   * Takes word that a caller has left: at once, and once more behind its request, which the first
   * may overtake.
   */
  cancel(message: Uint8Array): void {
    this.answer(message);
    this.post(message);
  }

  private put(sender: Sender, message: Uint8Array): void {
    this.check(message);
    if (sender.heldBytes > MAX_POSTED_BYTES || sender.frames.size > MAX_POSTED_FRAMES) {
      const error = new LimitError("bytes posted and not taken", MAX_POSTED_BYTES, sender.heldBytes);
      this.owner.overrun(error);
      throw error;
    }
    sender.accept(message);
    this.owner.accepted();
  }

  private check(message: Uint8Array): void {
    const refusal = this.owner.refusal();
    if (refusal !== null) {
      throw refusal;
    }
    const limit = Math.min(MAX_MESSAGE_BYTES, this.owner.remoteMaxBytes);
    if (message.length > limit) {
      throw new LimitError("bytes of a message", limit, message.length);
    }
  }

  /** Lets as many go on as have room. */
  wake(): void {
    const { sender } = this;
    let hasMoved = false;
    for (let next = this.waiters[0]; next !== undefined; next = this.waiters[0]) {
      if (sender instanceof LatencySender || !sender.hasRoom(next.message.length)) {
        break;
      }
      this.waiters.shift();
      try {
        this.check(next.message);
        next.check?.();
        sender.accept(next.message);
        hasMoved = true;
        next.resolve();
      } catch (error) {
        next.reject(error);
      }
    }
    if (hasMoved) {
      this.owner.accepted();
    }
  }

  /** The link is gone: so all who wait are told. */
  fail(): void {
    for (const waiter of this.waiters.splice(0)) {
      waiter.reject(this.owner.refusal());
    }
  }
}
