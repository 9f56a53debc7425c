// Between a wire and its sink: what comes early waits, the end is told once.

import type { PeerError } from "../errors";
import { LimitError } from "../errors";
import type { Wire, WireSink } from "./base";
import { MAX_WAITING } from "./base";

/** One wire's; the wire calls `deliver` for each message. */
export class Parking {
  #sink: WireSink | undefined;
  #parked: [number, Uint8Array][] = [];
  #end: { error: PeerError | undefined } | undefined;

  constructor(readonly wire: Wire) {}

  /** Gives everything to `sink`, first what waited. */
  attach(sink: WireSink): void {
    this.#sink = sink;
    const parked = this.#parked;
    this.#parked = [];
    for (const [channel, data] of parked) {
      sink.message(this.wire, channel, data);
    }
    this.#tell();
  }

  /** Throws `LimitError` if too much waits; and what the sink throws. */
  deliver(channel: number, data: Uint8Array): void {
    if (this.#sink !== undefined) {
      this.#sink.message(this.wire, channel, data);
    } else if (this.#parked.length === MAX_WAITING) {
      throw new LimitError("messages before the wire is used", MAX_WAITING, MAX_WAITING + 1);
    } else {
      this.#parked.push([channel, data]);
    }
  }

  writable(): void {
    this.#sink?.writable(this.wire);
  }

  /** Reports the end in a later turn, never while who closes it runs. */
  closed(error: PeerError | undefined): void {
    if (this.#end === undefined) {
      this.#end = { error };
      queueMicrotask(() => this.#tell());
    }
  }

  #tell(): void {
    const [sink, end] = [this.#sink, this.#end];
    if (sink !== undefined && end !== undefined) {
      this.#sink = undefined;
      sink.closed(this.wire, end.error);
    }
  }
}
