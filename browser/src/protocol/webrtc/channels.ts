// The data channels of a WebRTC wire: fixed ids, so that both sides agree with no round trip.

import { LIFETIME, PayloadType } from "../payload";

/** What each says in its place for the protocol inside. */
const PROTOCOL = "actr/1";

/** Of one message of a data channel. */
export const MAX_CHANNEL_MESSAGE_BYTES = 256 * 1024;

/** What a channel is made with: its label, and what the browser's `createDataChannel` takes. */
export interface ChannelParameters {
  readonly label: string;
  readonly init: {
    readonly negotiated: true;
    readonly id: number;
    readonly protocol: string;
    readonly ordered: boolean;
    /** Milliseconds. A limit of retransmits beside it is forbidden (RFC 8832, 5.1). */
    readonly maxPacketLifeTime?: number;
  };
}

/** The four, in the order of their ids. */
export const CHANNELS: readonly ChannelParameters[] = [0, 1, 2, 3].map((id) => {
  const base = { negotiated: true, id, protocol: PROTOCOL } as const;
  const isLate = id === PayloadType.STREAM_LATENCY_FIRST;
  return {
    label: PayloadType[id]!,
    init: isLate
      ? { ...base, ordered: false, maxPacketLifeTime: 1000 * LIFETIME }
      : { ...base, ordered: true },
  };
});
