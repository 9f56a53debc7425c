// What every wire is, whatever carries it.
//
// A wire moves whole messages on numbered channels between two processes. It knows nothing of lanes,
// envelopes or actors' code. Events are plain synchronous calls on the sink, in order of arrival.

import type { PeerError } from "../errors";
import type { Certificate } from "../protocol/identity/certificates";
import type { ActrId } from "../protocol/identity/ids";
import type { WireKind } from "../protocol/payload";

/** Channels 0 to 3: one for each byte payload type (docs/protocol.md). */
export const CHANNELS = 4;

/** Messages that wait for a sink that is not there yet. */
export const MAX_WAITING = 64;

/**
 * Who owns a wire hears from it here. A `RemoteProtocolError` or `LimitError` that `message` throws
 * closes the wire.
 */
export interface WireSink {
  /** One whole message arrived on `channel`. */
  message(wire: Wire, channel: number, data: Uint8Array): void;
  /** The wire is no longer full. */
  writable(wire: Wire): void;
  /**
   * The wire is gone, once, by whoever's doing; without an error for a clean close. No event of this
   * wire follows.
   */
  closed(wire: Wire, error: PeerError | undefined): void;
}

/** One physical connection to a remote, open from birth until `closed` is reported. */
export interface Wire {
  readonly kind: WireKind;
  readonly remote: ActrId;
  /** Where this side asked for the connection. */
  readonly wasDialled: boolean;
  /** Largest message that the far side takes. */
  readonly maxMessageBytes: number;
  /** Bytes taken by `send` and not yet handed to the network, over all channels. */
  readonly bufferedBytes: number;
  /** From when `bufferedBytes` passes the high-water mark until `writable`. */
  readonly isFull: boolean;
  /**
   * The far side's newest certificate, proved to be its own; undefined: nothing but its word, or the
   * secret of its realm, says who it is.
   */
  readonly certificate: Certificate | undefined;

  /** Gives all events to `sink`, first those that waited. */
  attach(sink: WireSink): void;

  /**
   * Hands one message over; never waits. Lost if the connection breaks. Throws `BrokenError` if it is
   * not open, and `LimitError` for a message over `maxMessageBytes`.
   */
  send(channel: number, data: Uint8Array): void;

  /**
   * Says good-bye and closes; what was sent goes out first. No message reaches the sink from now on.
   * Harmless when closed already.
   */
  close(): void;
}
