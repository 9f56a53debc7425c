// What a link needs of a wire, whatever carries it.

import type { WireKind } from "../protocol/payload";

/** One physical connection to a remote, open from birth until `closed` is reported. */
export interface LinkWire {
  readonly kind: WireKind;
  /** Whether this side asked for the connection. */
  readonly wasDialled: boolean;
  /** Largest message that the far side takes. */
  readonly maxMessageBytes: number;
  /** Bytes taken by `send` and not yet handed to the network, over all channels. */
  readonly bufferedBytes: number;
  /** From when `bufferedBytes` passes the high-water mark until `writable`. */
  readonly isFull: boolean;

  /** Gives all events to `sink`, first those that waited. */
  attach(sink: LinkWireSink): void;

  /** Hands one message over; never waits. Throws `BrokenError` if the connection is not open. */
  send(channel: number, data: Uint8Array): void;

  /** Closes; what was sent goes out first. No message reaches the sink from now on. */
  close(): void;
}

/** Who owns a wire hears from it here. */
export interface LinkWireSink {
  /** One whole message arrived on `channel`. */
  message(wire: LinkWire, channel: number, data: Uint8Array): void;

  /** The wire is no longer full. */
  writable(wire: LinkWire): void;

  /** The wire is gone, once, by whoever's doing; without an error for a clean close. */
  closed(wire: LinkWire, error: Error | undefined): void;
}

/** Makes a wire to the remote of a link; the signal says that it is not wanted any more. */
export type Dialer = (signal: AbortSignal) => Promise<LinkWire>;
