// A link: all that concerns one remote: its session, its lanes, its wires.
//
//     Lane.send ─ accept ─▶ Session ─ Pump ─▶ LinkWire      LinkWire ─▶ Link ─▶ Session ─▶ LinkSink
//                              ▲ tick                           Pool ─ dials ─▶ LinkWire

import {
  BrokenError,
  ClosedError,
  LeftError,
  LimitError,
  RemoteProtocolError,
  UnreachableError,
} from "../errors";
import { type ByteLane, isRpc, PayloadType, type RpcLane, WIRE_MESSAGE_BYTES, WireKind } from "../protocol/payload";
import type { Budget } from "../protocol/session/budget";
import { ByeReason } from "../protocol/session/frames";
import { Session } from "../protocol/session/session";
import type { News } from "../protocol/session/wires/ends";
import { WireState } from "../protocol/session/wires/policy";
import { realTime, type Time } from "../time";
import { Lane, type LaneOwner } from "./lane";
import { Pool } from "./pool";
import { Pump } from "./pump";
import type { Dialer, LinkWire, LinkWireSink } from "./wire";

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

export interface LinkOptions {
  readonly sink: LinkSink;
  /** How to make a wire, by kind; kinds without a dialer are only accepted. */
  readonly dialers: ReadonlyMap<WireKind, Dialer>;
  /** Whether this side's id is the smaller one: it decides about duplicate wires. */
  readonly isSmaller: boolean;
  /** Kinds of wires, best first. */
  readonly prefer?: readonly WireKind[];
  readonly time?: Time;
  readonly budget?: Budget;
  /** Whether something above needs a link in which nothing happens. */
  readonly inUse?: () => boolean;
  /**
   * Whether timers come late, as in a page that is not shown: then word of what has come goes out
   * with each wire message that is taken.
   */
  readonly isThrottled?: () => boolean;
}

/** A random number of 64 bits that is not 0: of one session, and no other. */
function newIncarnation(): bigint {
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  return number || 1n;
}

export class Link implements LaneOwner, LinkWireSink {
  /** When a message was last sent or received, seconds. */
  usedAt: number;
  readonly time: Time;
  private readonly session: Session;
  private readonly pump: Pump;
  private readonly pool: Pool;
  private readonly wires = new Map<number, LinkWire>();
  private readonly lanes = new Map<ByteLane, Lane>();
  /** Why the link is gone, once it is. */
  private error: Error | null = null;
  /** Nothing can be sent any more: it is gone, or this side closes it. */
  private isShut = false;
  /** When BYE(IDLE) was last said; an answer comes soon or never. */
  private askedAt = -Infinity;
  /** Called when all that was accepted is acknowledged. */
  private onQuiet: (() => void) | null = null;
  private lastWire = 0;

  /** @param remote the actor at the far side, in text form */
  constructor(
    readonly remote: string,
    private readonly options: LinkOptions,
  ) {
    const { prefer = [WireKind.WEBRTC, WireKind.WEBSOCKET], budget } = options;
    this.time = options.time ?? realTime;
    this.usedAt = this.now();
    this.session = new Session(newIncarnation(), { prefer, ...(budget && { budget }) });
    this.session.account.onDrop = (error) => this.fail(error, ByeReason.CLOSED);
    this.pump = new Pump(this.session, this.wires, this.time, () => this.onTime(), (error) => this.contain(error));
    this.pool = new Pool(prefer, options.dialers, options.isSmaller, this.time, {
      dialled: (wire) => this.add(wire),
      settled: () => this.attend(),
    });
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
      this.pump.kick();
    } else {
      this.pump.arm(this.session.due);
    }
  }

  get remoteMaxBytes(): number {
    return this.session.remoteMaxBytes;
  }

  accepted(): void {
    this.usedAt = this.now();
    this.pump.kick();
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

  /** After acknowledgements: lets waiting senders go on. */
  private settle(): void {
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
    if (!this.pool.takes(wire.kind) || wire.maxMessageBytes < WIRE_MESSAGE_BYTES || this.error !== null) {
      wire.close();
      return;
    }
    for (const old of this.pool.excess(wire.kind)) {
      this.drop(old);
    }
    const id = ++this.lastWire;
    this.wires.set(id, wire);
    this.session.open(id, wire.kind, this.now(), wire.wasDialled);
    this.pool.opened(wire.kind, id);
    wire.attach(this);
    this.attend();
  }

  /** Dials all kinds that are neither there nor coming; twice is harmless. */
  dial(): void {
    this.attend();
  }

  /** The far side has begun: gives it a moment to dial the other kinds itself. */
  awaitDials(): void {
    this.pool.slots.defer(this.now());
  }

  /** Makes new wires beside the present ones, and moves over when they work. */
  networkChanged(): void {
    for (const id of this.pool.slots.networkChanged()) {
      this.session.doubt(id, this.now());
    }
    this.attend();
  }

  /** Health round: removes the link if nothing works and nothing is tried, else mends it. */
  health(): void {
    if (this.pool.slots.isDead) {
      this.fail(new BrokenError(`all wires to ${this.remote} have failed`));
    } else if (this.isReady) {
      this.pool.slots.refresh();
      this.attend();
    }
  }

  /** Whether a wire is usable now. */
  get isReady(): boolean {
    return this.session.active !== null;
  }

  private idOf(wire: LinkWire): number | undefined {
    return [...this.wires].find(([, other]) => other === wire)?.[0];
  }

  message(wire: LinkWire, channel: number, data: Uint8Array): void {
    const id = this.idOf(wire);
    if (id !== undefined) {
      this.guard(() => this.pump.hold(() => this.receive(id, channel, data)));
    }
  }

  private receive(id: number, channel: number, data: Uint8Array): void {
    const now = this.now();
    const deliveries = this.session.receive(id, channel, data, now);
    if (deliveries.length > 0) {
      this.usedAt = now; // before the news: who asks whether the link is idle is told
    }
    this.options.budget?.keep();
    if (this.session.news.length > 0) {
      this.hear();
      this.attend();
    }
    for (const { payloadType, message, number } of deliveries) {
      if (this.error !== null) {
        return;
      }
      this.options.sink.message(this, payloadType, message, number);
    }
    if (this.options.isThrottled?.()) {
      this.session.sayNews();
    }
    this.settle();
  }

  writable(): void {
    this.pump.flush();
  }

  closed(wire: LinkWire, error: Error | undefined): void {
    const id = this.idOf(wire);
    if (id !== undefined) {
      this.forget(id, error);
      this.attend();
    }
  }

  private forget(id: number, error?: Error): void {
    const wire = this.wires.get(id)!;
    this.wires.delete(id);
    this.session.close(id);
    this.pool.gone(wire.kind, id, error);
  }

  /** Closes a wire that is not used any more. */
  private drop(id: number): void {
    const wire = this.wires.get(id);
    if (wire !== undefined) {
      this.forget(id);
      wire.close();
    }
  }

  // Time and news

  private onTime(): void {
    this.guard(() => {
      if (this.session.due <= this.now()) {
        this.session.tick(this.now());
      }
      this.attend();
    });
  }

  /** Something rare has happened: sees to all that may follow from it. */
  private attend(): void {
    if (this.error !== null) {
      return;
    }
    this.guard(() => {
      this.hear();
      if (this.error === null && !this.isShut) {
        this.pool.mend();
      }
      if (this.pool.slots.isDead && !this.pool.slots.wasReady) {
        this.fail(new UnreachableError(this.remote, this.pool.why || "there is no way to dial it"));
        return;
      }
      this.pump.flush();
      this.settle();
      this.pump.arm(this.pool.slots.due());
    });
  }

  private hear(): void {
    for (let item = this.session.news.shift(); item; item = this.session.news.shift()) {
      if (this.error !== null) {
        return;
      }
      this.onNews(item);
    }
  }

  private onNews(item: News): void {
    switch (item.kind) {
      case "changed":
        this.wireChanged(item.wire, item.state);
        break;
      case "refused":
        this.drop(item.wire);
        break;
      case "restarted":
        this.options.sink.reset(this, item.lastDelivered);
        break;
      case "left":
        if (item.reason === ByeReason.DUPLICATE) {
          this.drop(item.wire);
        } else {
          this.farSideLeft(item.reason);
        }
        break;
    }
  }

  private wireChanged(id: number, state: WireState): void {
    const wire = this.wires.get(id);
    if (wire === undefined) {
      return;
    }
    this.options.sink.wireChanged?.(this, wire.kind, state);
    if (state === WireState.FAILED) {
      this.forget(id, new BrokenError("no heartbeat"));
      wire.close();
      return;
    }
    if (state === WireState.READY) {
      this.pool.slots.greeted(wire.kind, id, this.now());
    }
    const greeted = [...this.session.ends.values()].filter((end) => end.isGreeted);
    for (const spare of this.pool.slots.surplus(greeted.map((end) => end.view))) {
      this.session.leave(spare, ByeReason.DUPLICATE);
      this.pump.flush();
      this.drop(spare);
    }
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
    this.pump.flush();
  }

  private farSideLeft(reason: ByeReason): void {
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
    this.pool.close();
    const wires = [...this.wires];
    if (bye !== undefined) {
      wires.forEach(([id]) => this.session.leave(id, bye));
      this.pump.flush();
    }
    this.pump.stop();
    this.wires.clear();
    for (const [id, wire] of wires) {
      this.session.close(id);
      wire.close();
    }
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

  /** Runs what serves the link: an error ends it, and nothing else. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof RemoteProtocolError || error instanceof LimitError) {
        this.fail(error, ByeReason.BROKEN_RULES);
      } else {
        this.contain(error);
      }
    }
  }

  /** A failure on this side, met while the link was served, ends it. */
  private contain(cause: unknown): void {
    this.fail(new BrokenError(`a failure on this side: ${cause}`, { cause }), ByeReason.CLOSED);
  }
}
