// What a page uses: its own identity, the signaling service, wires to other actors, calls both ways.

export * from "./errors";
export { join, type Joined, type JoinOptions } from "./join";
export { ActrId } from "./protocol/identity/ids";
export { PayloadType, WireKind } from "./protocol/payload";
export { Proofs } from "./protocol/signaling/proofs";
export { actor, Peer, type PeerOptions } from "./rpc/peer";
export * from "./service";
export { OwnIdentity, webCrypto } from "./wire/crypto";
export { IssuerClient } from "./wire/issuer";
export { SignalingClient, type SignalingOptions } from "./wire/signaling/client";
export { WebRtcWires } from "./wire/webrtc/wires";
export { type DialOptions, dialWebSocket } from "./wire/websocket";
