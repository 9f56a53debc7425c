// Wires in memory, which delay, and which one can cut.

import { BrokenError } from "../../src/errors";
import { MAX_WIRE_MESSAGE_BYTES, WireKind } from "../../src/protocol/payload";
import { Peer, type PeerOptions } from "../../src/rpc/peer";
import type { LinkWire, LinkWireSink } from "../../src/transport/wire";

export class MemoryWire implements LinkWire {
  readonly maxMessageBytes: number;
  readonly bufferedBytes = 0;
  readonly isFull = false;
  private sink: LinkWireSink | null = null;
  private far!: MemoryWire;
  private early: [number, Uint8Array][] = [];
  isOpen = true;
  /** Whether it takes all and brings nothing. */
  isDead = false;

  private constructor(
    readonly kind: WireKind,
    readonly wasDialled: boolean,
  ) {
    this.maxMessageBytes = MAX_WIRE_MESSAGE_BYTES[kind];
  }

  static pair(kind: WireKind): [MemoryWire, MemoryWire] {
    const [near, far] = [new MemoryWire(kind, true), new MemoryWire(kind, false)];
    near.far = far;
    far.far = near;
    return [near, far];
  }

  attach(sink: LinkWireSink): void {
    this.sink = sink;
    for (const [channel, data] of this.early.splice(0)) {
      sink.message(this, channel, data);
    }
  }

  send(channel: number, data: Uint8Array): void {
    if (!this.isOpen) {
      throw new BrokenError("not open");
    }
    setImmediate(() => {
      if (!this.isDead && this.isOpen) {
        this.far.arrive(channel, data);
      }
    });
  }

  private arrive(channel: number, data: Uint8Array): void {
    if (!this.isOpen) {
      return;
    }
    if (this.sink === null) {
      this.early.push([channel, data]);
    } else {
      this.sink.message(this, channel, data);
    }
  }

  close(): void {
    // What was sent goes out first.
    setImmediate(() => setImmediate(() => this.end(undefined)));
  }

  /** Breaks, with what is on its way; both sides are told. */
  cut(): void {
    this.isDead = this.far.isDead = true;
    this.end(new BrokenError("cut"));
  }

  private end(error: Error | undefined): void {
    for (const side of [this, this.far]) {
      if (side.isOpen) {
        side.isOpen = false;
        queueMicrotask(() => side.sink?.closed(side, error));
      }
    }
  }
}

/** Two peers, `near` dials. */
export class Pair {
  readonly near: Peer;
  far: Peer;
  /** All that were made, oldest first. */
  readonly wires: MemoryWire[] = [];

  constructor(
    options: { near?: Partial<PeerOptions>; far?: Partial<PeerOptions> } = {},
    kinds: readonly WireKind[] = [WireKind.WEBSOCKET],
  ) {
    const dialers = new Map(kinds.map((kind) => [kind, async () => this.dialled(kind)]));
    this.far = this.makeFar(options.far);
    this.near = new Peer("acme:far@1:default", { isSmaller: false, dialers, ...options.near });
    this.near.link.dial();
  }

  makeFar(options: Partial<PeerOptions> = {}): Peer {
    return new Peer("acme:near@1:default", { isSmaller: true, dialers: new Map(), ...options });
  }

  private dialled(kind: WireKind): MemoryWire {
    const [near, far] = MemoryWire.pair(kind);
    this.wires.push(near);
    this.far.link.add(far);
    return near;
  }

  /** Cuts the newest wire of each kind. */
  cut(): void {
    this.wires.splice(0).forEach((wire) => wire.cut());
  }

  async close(): Promise<void> {
    await this.near.link.close();
    this.far.link.fail(new BrokenError("the test is over"));
  }
}
