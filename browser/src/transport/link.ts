// A link: all that concerns one remote: its session, its lanes, its wires.
//
//     Lane.send ─ accept ─▶ Session ─ Pump ─▶ LinkWire    LinkWire ─▶ Bundle ─▶ Session ─▶ LinkSink
//                              ▲ tick                           Pool ─ dials ─▶ LinkWire

import { BrokenError, ClosedError, LeftError, type LimitError, UnreachableError } from "../errors";
import { type ByteLane, isRpc, PayloadType, type RpcLane, type WireKind } from "../protocol/payload";
import { ByeReason } from "../protocol/session/frames";
import type { Delivery } from "../protocol/session/receiver";
import { Session } from "../protocol/session/session";
import type { WireState } from "../protocol/session/wires/policy";
import { realTime, type Time } from "../time";
import { Bundle, type BundleOwner, PREFER, type WireOptions } from "./bundle";
import { Lane, type LaneOwner } from "./lane";
import type { LinkWire } from "./wire";

/**
 * Seconds without a message after which a side agrees to close an idle link, and within which the
 * other side takes a goodbye for that answer.
 */
const LULL = 5;
/** How long closing waits for the far side to acknowledge what it was sent, in seconds. */
const FLUSH_SECONDS = 3;

/**
 * Who owns a link hears from it here. A `RemoteProtocolError` or `LimitError` that `message` throws
 * says that the far side broke the rules: the link is dropped.
 */
export interface LinkSink {
  /** A message arrived; RPC lanes: call `link.acknowledge(payloadType, number)` when it is stored. */
  message(link: Link, payloadType: ByteLane, message: Uint8Array, number: number): void;

  /**
   * The far process has restarted. What its predecessor had not acknowledged is sent again on RPC
   * lanes, and dropped on stream lanes; the map has the last numbers that it acknowledged.
   */
  reset(link: Link, lastDelivered: ReadonlyMap<ByteLane, number>): void;

  /** The link is removed for good: pending calls fail. */
  gone(link: Link, error: Error): void;

  /** A kind of wire has another state now. */
  wireChanged?(link: Link, kind: WireKind, state: WireState): void;
}

export interface LinkOptions extends WireOptions {
  readonly sink: LinkSink;
  readonly time?: Time;
  /** Whether something above needs a link in which nothing happens. */
  readonly inUse?: () => boolean;
}

/** A random number of 64 bits that is not 0: of one session, and no other. */
function newIncarnation(): bigint {
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  return number || 1n;
}

export class Link implements LaneOwner, BundleOwner {
  /** When a message was last sent or received, seconds. */
  usedAt: number;
  readonly time: Time;
  private readonly session: Session;
  private readonly bundle: Bundle;
  private readonly lanes = new Map<ByteLane, Lane>();
  /** Why the link is gone, once it is. */
  private error: Error | null = null;
  /** Nothing can be sent any more: it is gone, or this side closes it. */
  private isShut = false;
  /** When BYE(IDLE) was last said; an answer comes soon or never. */
  private askedAt = -Infinity;
  /** Called when all that was accepted is acknowledged. */
  private onQuiet: (() => void) | null = null;

  /** @param remote the actor at the far side, in text form */
  constructor(
    readonly remote: string,
    private readonly options: LinkOptions,
  ) {
    const { prefer = PREFER, budget } = options;
    this.time = options.time ?? realTime;
    this.usedAt = this.now();
    this.session = new Session(newIncarnation(), { prefer, ...(budget && { budget }) });
    this.session.account.onDrop = (error) => this.fail(error, ByeReason.CLOSED);
    this.bundle = new Bundle(this, this.session, this.time, options);
  }

  now(): number {
    return this.time.now();
  }

  // Lanes

  /** The lane for this payload type, always the same one. */
  lane(payloadType: ByteLane): Lane {
    let lane = this.lanes.get(payloadType);
    if (lane === undefined) {
      const { lanes } = this.session;
      const sender =
        payloadType === PayloadType.STREAM_LATENCY_FIRST ? lanes.latencySender : lanes.sender(payloadType);
      lane = new Lane(this, payloadType, sender, isRpc(payloadType) ? lanes.replySender(payloadType) : null);
      this.lanes.set(payloadType, lane);
    }
    return lane;
  }

  /** An RPC message is stored: the far side may forget it. Any order; twice is harmless. */
  acknowledge(payloadType: RpcLane, number: number): void {
    if (this.session.lanes.acknowledge(payloadType, number, this.now())) {
      this.bundle.pump.kick();
    } else {
      this.bundle.pump.arm(this.session.due);
    }
  }

  get remoteMaxBytes(): number {
    return this.session.remoteMaxBytes;
  }

  accepted(): void {
    this.usedAt = this.now();
    this.bundle.pump.kick();
  }

  /** Why nothing can be sent any more, as a new error; null while it can. */
  refusal(): Error | null {
    const { error } = this;
    if (error === null) {
      return this.isShut ? new ClosedError(`the link to ${this.remote} is closed`) : null;
    }
    if (error instanceof UnreachableError) {
      return new UnreachableError(error.remote, error.why);
    }
    if (error instanceof ClosedError) {
      return new ClosedError(error.message);
    }
    return new BrokenError(`the link to ${this.remote} is gone: ${error.message}`, { cause: error });
  }

  overrun(error: LimitError): void {
    this.fail(error);
  }

  // What comes

  get isOver(): boolean {
    return this.error !== null;
  }

  touched(): void {
    this.usedAt = this.now();
  }

  deliver({ payloadType, message, number }: Delivery): void {
    this.options.sink.message(this, payloadType, message, number);
  }

  restarted({ lastDelivered }: { lastDelivered: ReadonlyMap<ByteLane, number> }): void {
    this.options.sink.reset(this, lastDelivered);
  }

  wireChanged(kind: WireKind, state: WireState): void {
    this.options.sink.wireChanged?.(this, kind, state);
  }

  /** After acknowledgements: lets waiting senders go on. */
  settle(): void {
    for (const lane of this.lanes.values()) {
      if (lane.isCrowded) {
        lane.wake();
      }
    }
    if (this.session.lanes.isEmpty) {
      this.onQuiet?.();
    }
  }

  // Wires

  /** Takes a wire, dialled here or there; one that cannot be used is closed. */
  add(wire: LinkWire): void {
    this.bundle.add(wire);
  }

  /** Dials all kinds that are neither there nor coming; twice is harmless. */
  dial(): void {
    this.bundle.attend();
  }

  /** The far side has begun: gives it a moment to dial the other kinds itself. */
  awaitDials(): void {
    this.bundle.pool.slots.defer(this.now());
  }

  /** Makes new wires beside the present ones, and moves over when they work. */
  networkChanged(): void {
    if (this.refusal() === null) {
      this.bundle.networkChanged();
    }
  }

  /** Health round: removes the link if nothing works and nothing is tried, else mends it. */
  health(): void {
    if (this.bundle.pool.slots.isDead) {
      this.fail(new BrokenError(`all wires to ${this.remote} have failed`));
    } else if (this.isReady) {
      this.bundle.pool.slots.refresh();
      this.bundle.attend();
    }
  }

  /** Whether a wire is usable now. */
  get isReady(): boolean {
    return this.session.active !== null;
  }

  // Idle links, and the end

  private isIdle(seconds: number): boolean {
    const { lanes } = this.session;
    return (
      this.refusal() === null &&
      this.now() - this.usedAt >= seconds &&
      lanes.isEmpty &&
      lanes.isSettled &&
      ![...this.lanes.values()].some((lane) => lane.isCrowded) &&
      !this.options.inUse?.()
    );
  }

  /**
   * Asks the far side whether the link can be closed, if nothing happens in it. The far side answers
   * BYE(CLOSED), and is deaf from then on, or does not answer.
   */
  closeIfIdle(seconds: number): void {
    if (!this.isIdle(seconds)) {
      return;
    }
    if (this.session.active === null) {
      this.fail(new ClosedError(`the link to ${this.remote} was idle`));
      return;
    }
    this.askedAt = this.now();
    this.session.leave(this.session.active.id, ByeReason.IDLE);
    this.bundle.pump.flush();
  }

  farSideLeft(reason: ByeReason): void {
    if (reason === ByeReason.BROKEN_RULES) {
      this.fail(new BrokenError(`${this.remote} says that this side broke the protocol`));
    } else if (reason === ByeReason.IDLE) {
      // At once: what arrives after the answer has not been taken here, and is sent again by the far
      // side's next session.
      if (this.isIdle(LULL)) {
        this.fail(new ClosedError(`the link to ${this.remote} was idle`), ByeReason.CLOSED);
      }
    } else if (this.now() - this.askedAt > LULL) {
      this.fail(new LeftError(`${this.remote} closed the link`));
    } else if (this.session.lanes.isEmpty) {
      this.fail(new ClosedError(`the link to ${this.remote} was idle`));
    } else {
      // Messages came after the question. The goodbye said which of them were taken: a new session
      // has the others from the start.
      this.askedAt = -Infinity;
      this.session.renew(newIncarnation());
    }
  }

  /** Drops the link at once; once. With a word to the far side, where `bye` says one. */
  fail(error: Error, bye?: ByeReason): void {
    if (this.error !== null) {
      return;
    }
    this.error = error;
    this.isShut = true;
    this.session.account.close();
    this.onQuiet?.();
    this.bundle.shut(bye);
    this.lanes.forEach((lane) => lane.fail());
    this.options.sink.gone(this, error);
  }

  /** Takes no more, waits up to 3 s for acknowledgements, says goodbye. Twice is harmless. */
  async close(): Promise<void> {
    if (this.refusal() !== null) {
      return;
    }
    this.isShut = true;
    if (!this.session.lanes.isEmpty && this.isReady) {
      await new Promise<void>((resolve) => {
        const stop = this.time.after(FLUSH_SECONDS, resolve);
        this.onQuiet = () => {
          stop();
          resolve();
        };
      });
    }
    this.fail(new ClosedError(`the link to ${this.remote} is closed`), ByeReason.CLOSED);
  }
}
