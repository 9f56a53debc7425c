// A class of peer connections for tests outside of a browser: what WEBRTC names, a file of a package that
// has an `RTCPeerConnection`.

import { createRequire } from "node:module";

import type { PeerConnectionClass } from "../../../src/wire/webrtc/peer";

const path = process.env["WEBRTC"];

/** Why tests that need one are not run here; false: they are. */
export const skip = path === undefined ? "no WEBRTC: name a package that has an RTCPeerConnection" : false;

export function peerConnection(): PeerConnectionClass {
  return createRequire(import.meta.url)(path!).RTCPeerConnection;
}
