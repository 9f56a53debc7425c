// The five payload types and the one table that everybody reads (docs/architecture.md).
//
// A value is the byte on the wire, the id of the data channel, and the index of a lane's slot.

/** What kind of traffic a message is (`actr/options.proto`). */
export enum PayloadType {
  RPC_RELIABLE = 0,
  RPC_SIGNAL = 1,
  STREAM_RELIABLE = 2,
  STREAM_LATENCY_FIRST = 3,
  MEDIA_RTP = 4,
}

/** A way for bytes to reach another process. */
export enum WireKind {
  WEBRTC = "webrtc",
  WEBSOCKET = "websocket",
  /** Through the signaling service: the last resort. */
  RELAYED = "relayed",
}

/** The lane of one payload type that is bytes. */
export type ByteLane = Exclude<PayloadType, PayloadType.MEDIA_RTP>;
export type RpcLane = PayloadType.RPC_RELIABLE | PayloadType.RPC_SIGNAL;
export type StreamLane = PayloadType.STREAM_RELIABLE | PayloadType.STREAM_LATENCY_FIRST;

export const RPC_LANES: readonly RpcLane[] = [PayloadType.RPC_RELIABLE, PayloadType.RPC_SIGNAL];
export const RELIABLE_LANES: readonly ByteLane[] = [...RPC_LANES, PayloadType.STREAM_RELIABLE];

/** A lane sends only while none before it waits. */
export const LANES_BY_RANK: readonly ByteLane[] = [
  PayloadType.RPC_SIGNAL,
  PayloadType.RPC_RELIABLE,
  PayloadType.STREAM_LATENCY_FIRST,
  PayloadType.STREAM_RELIABLE,
];

/** How often a call is sent, on transient failures only. */
export const TRIES: Readonly<Record<RpcLane, number>> = { 0: 5, 1: 2 };

/** Seconds after which a latency-first item is not worth sending. */
export const LIFETIME = 0.1;

/** Longest wire message that every far side takes: so short that an urgent one overtakes. */
export const WIRE_MESSAGE_BYTES = 16 * 1024;

/** Longest wire message taken here; a far side is told where it is more than all take. */
export const MAX_WIRE_MESSAGE_BYTES: Readonly<Record<WireKind, number>> = {
  [WireKind.WEBRTC]: WIRE_MESSAGE_BYTES,
  [WireKind.WEBSOCKET]: 80 * 1024,
  [WireKind.RELAYED]: WIRE_MESSAGE_BYTES,
};

export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export function isRpc(lane: number): lane is RpcLane {
  return lane === PayloadType.RPC_RELIABLE || lane === PayloadType.RPC_SIGNAL;
}
