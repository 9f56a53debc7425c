// What every wire is, whatever carries it.
//
// A wire moves whole messages on numbered channels between two processes. It knows nothing of lanes,
// envelopes or actors' code. Events are plain synchronous calls on the sink, in order of arrival.

import type { Certificate } from "../protocol/identity/certificates";
import type { ActrId } from "../protocol/identity/ids";
import type { LinkWire, LinkWireSink } from "../transport/wire";

/** Channels 0 to 3: one for each byte payload type (docs/protocol.md). */
export const CHANNELS = 4;

/** Messages that wait for a sink that is not there yet. */
export const MAX_WAITING = 64;

/**
 * Who owns a wire hears from it here. A `RemoteProtocolError` or `LimitError` that `message` throws
 * closes the wire.
 */
export type WireSink = LinkWireSink;

/** One physical connection to a remote, as a link needs it, and whose it is. */
export interface Wire extends LinkWire {
  readonly remote: ActrId;
  /**
   * The far side's newest certificate, proved to be its own; undefined: nothing but its word, or the
   * secret of its realm, says who it is.
   */
  readonly certificate: Certificate | undefined;
}
