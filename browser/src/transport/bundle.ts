// The wires of one link: what they bring, what becomes of them, and when to look at them.

import { BrokenError, LimitError, RemoteProtocolError, UnreachableError } from "../errors";
import { WIRE_MESSAGE_BYTES, WireKind } from "../protocol/payload";
import type { Budget } from "../protocol/session/budget";
import { ByeReason } from "../protocol/session/frames";
import type { Delivery } from "../protocol/session/receiver";
import type { Session } from "../protocol/session/session";
import type { News } from "../protocol/session/wires/ends";
import { WireState } from "../protocol/session/wires/policy";
import type { Time } from "../time";
import { Pool } from "./pool";
import { Pump } from "./pump";
import type { Dialer, LinkWire, LinkWireSink } from "./wire";

/** How wires are made, and looked after. */
export interface WireOptions {
  /** How to make a wire, by kind; kinds without a dialer are only accepted. */
  readonly dialers: ReadonlyMap<WireKind, Dialer>;
  /** Whether this side's id is the smaller one: it decides about duplicate wires. */
  readonly isSmaller: boolean;
  /** Kinds of wires, best first. */
  readonly prefer?: readonly WireKind[];
  /** What all links together may hold for their far sides. */
  readonly budget?: Budget;
  /**
   * Whether timers come late, as in a page that is not shown: then word of what has come goes out
   * with each wire message that is taken.
   */
  readonly isThrottled?: () => boolean;
}

/** Best first, where nothing else is said. */
export const PREFER: readonly WireKind[] = [WireKind.WEBRTC, WireKind.WEBSOCKET, WireKind.RELAYED];

/** The link, as its bundle knows it. */
export interface BundleOwner {
  readonly remote: string;
  /** Whether it is gone. */
  readonly isOver: boolean;
  /** A message has come; it throws what the far side has broken. */
  deliver(delivery: Delivery): void;
  /** Something has come: it is in use. */
  touched(): void;
  /** Acknowledgements may have come: who waits may go on. */
  settle(): void;
  restarted(news: News & { kind: "restarted" }): void;
  farSideLeft(reason: ByeReason): void;
  wireChanged(kind: WireKind, state: WireState): void;
  fail(error: Error, bye?: ByeReason): void;
}

/** It is the sink of its wires; an event of one that is not in it any more is not heard. */
export class Bundle implements LinkWireSink {
  readonly pump: Pump;
  readonly pool: Pool;
  private readonly wires = new Map<number, LinkWire>();
  private lastWire = 0;

  constructor(
    private readonly owner: BundleOwner,
    private readonly session: Session,
    private readonly time: Time,
    private readonly options: WireOptions,
  ) {
    const { prefer = PREFER, dialers, isSmaller } = options;
    this.pump = new Pump(session, this.wires, time, () => this.onTime(), (error) => this.contain(error));
    this.pool = new Pool(prefer, dialers, isSmaller, time, {
      dialled: (wire) => this.add(wire),
      settled: () => this.attend(),
    });
  }

  /** Takes a wire, dialled here or there; one that cannot be used is closed. */
  add(wire: LinkWire): void {
    if (!this.pool.takes(wire.kind) || wire.maxMessageBytes < WIRE_MESSAGE_BYTES || this.owner.isOver) {
      wire.close();
      return;
    }
    for (const old of this.pool.excess(wire.kind)) {
      this.drop(old);
    }
    const id = ++this.lastWire;
    this.wires.set(id, wire);
    this.session.open(id, wire.kind, this.time.now(), wire.wasDialled);
    this.pool.opened(wire.kind, id);
    wire.attach(this);
    this.attend();
  }

  /** Makes new wires beside the present ones, and moves over when they work. */
  networkChanged(): void {
    for (const id of this.pool.slots.networkChanged()) {
      this.session.doubt(id, this.time.now());
    }
    this.attend();
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
    const now = this.time.now();
    const deliveries = this.session.receive(id, channel, data, now);
    if (deliveries.length > 0) {
      this.owner.touched(); // before the news: who asks whether the link is idle is told
    }
    this.options.budget?.keep();
    if (this.session.news.length > 0) {
      this.hear();
      this.attend();
    }
    for (const delivery of deliveries) {
      if (this.owner.isOver) {
        return;
      }
      this.owner.deliver(delivery);
    }
    if (this.options.isThrottled?.()) {
      this.session.sayNews();
    }
    this.owner.settle();
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
      if (this.session.due <= this.time.now()) {
        this.session.tick(this.time.now());
      }
      this.attend();
    });
  }

  /** Something rare has happened: sees to all that may follow from it. */
  attend(): void {
    if (this.owner.isOver) {
      return;
    }
    this.guard(() => {
      this.hear();
      if (!this.owner.isOver) {
        this.pool.mend();
      }
      if (this.pool.slots.isDead && !this.pool.slots.wasReady) {
        this.owner.fail(new UnreachableError(this.owner.remote, this.pool.why || "there is no way to dial it"));
        return;
      }
      this.pump.flush();
      this.owner.settle();
      this.pump.arm(this.pool.slots.due());
    });
  }

  private hear(): void {
    for (let item = this.session.news.shift(); item; item = this.session.news.shift()) {
      if (this.owner.isOver) {
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
        this.owner.restarted(item);
        break;
      case "left":
        if (item.reason === ByeReason.DUPLICATE) {
          this.drop(item.wire);
        } else {
          this.owner.farSideLeft(item.reason);
        }
        break;
    }
  }

  private wireChanged(id: number, state: WireState): void {
    const wire = this.wires.get(id);
    if (wire === undefined) {
      return;
    }
    this.owner.wireChanged(wire.kind, state);
    if (state === WireState.FAILED) {
      this.forget(id, new BrokenError("no heartbeat"));
      wire.close();
      return;
    }
    if (state === WireState.READY) {
      this.pool.slots.greeted(wire.kind, id, this.time.now());
    }
    const greeted = [...this.session.ends.values()].filter((end) => end.isGreeted);
    for (const spare of this.pool.slots.surplus(greeted.map((end) => end.view))) {
      this.session.leave(spare, ByeReason.DUPLICATE);
      this.pump.flush();
      this.drop(spare);
    }
  }

  // The end

  /** Lets go of everything; with a word to the far side, where `bye` says one. */
  shut(bye?: ByeReason): void {
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
  }

  /** Runs what serves the link: an error ends it, and nothing else. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof RemoteProtocolError || error instanceof LimitError) {
        this.owner.fail(error, ByeReason.BROKEN_RULES);
      } else {
        this.contain(error);
      }
    }
  }

  /** A failure on this side, met while the link was served, ends it. */
  private contain(cause: unknown): void {
    this.owner.fail(new BrokenError(`a failure on this side: ${cause}`, { cause }), ByeReason.CLOSED);
  }
}
