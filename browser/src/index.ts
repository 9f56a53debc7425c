// What a page uses: the signaling service, WebRTC to other actors, calls both ways. What only some need
// has files of its own, which are loaded when they are wanted: `certificates.ts`, `wire/websocket.ts`.

export * from "./errors";
export { join, type Joined, type JoinOptions, type WireEvents } from "./join";
export { ActrId } from "./protocol/identity/ids";
export { PayloadType, WireKind } from "./protocol/payload";
export { Proofs } from "./protocol/signaling/proofs";
export { actor, Peer, type PeerOptions } from "./rpc/peer";
export * from "./service";
export type { IdentityOptions } from "./wire/identity/credentials";
export { webCrypto } from "./wire/crypto";
export { SignalingClient, type SignalingOptions } from "./wire/signaling/client";
export type { WebRtcWire } from "./wire/webrtc/wire";
export { WebRtcWires } from "./wire/webrtc/wires";
