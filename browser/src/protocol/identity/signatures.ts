// What an identity key signs, and whether it did (docs/protocol/trust.md).
//
// A signature is over a label, which says what it is for, and over parts whose lengths are in it:
// no bytes signed for one purpose are good for another, and no two lists of parts are the same bytes.

import { concat, utf8 } from "../bytes";
import type { Primitives } from "./identity";
import { isKey } from "./keys";

export const SIGNATURE_BYTES = 64;

/** Parts: id of the signaling service, its nonce, the actor's id as text. */
export const AUTHENTICATE = "actr/signaling/v2/authenticate";
/** Parts: the bytes of `Register`. */
export const REGISTER = "actr/signaling/v2/register";
/**
 * Parts: ids of dialler and listener, nonces of dialler and listener, raw key of the listener's TLS
 * certificate (empty without TLS).
 */
export const DIAL = "actr/wire/v2/dial";
/** Parts: those of `DIAL`. */
export const LISTEN = "actr/wire/v2/listen";
/** Hashed, not signed. Parts: what only one TLS has. */
export const NONCE = "actr/wire/v2/nonce";
/** Parts: the bytes of `DescriptionStatement`. */
export const DESCRIPTION = "actr/webrtc/v2/description";
/** Hashed, not signed. Parts: the SDP, then mid and track id of each pair, sorted by mid. */
export const SDP = "actr/webrtc/v2/sdp";

/**
 * The bytes to sign: the label, a zero byte, and each part behind its length, as 32 bits in network
 * byte order.
 */
export function signedText(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const pieces = [utf8(`${label}\0`)];
  for (const part of parts) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length);
    pieces.push(length, part);
  }
  return concat(pieces);
}

/**
 * Whether the holder of a key (raw, 32 bytes) signed just this. A key that anybody can sign for has
 * signed nothing.
 */
export async function isSigned(
  primitives: Primitives,
  key: Uint8Array,
  signature: Uint8Array,
  label: string,
  ...parts: readonly Uint8Array[]
): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES || !isKey(key)) {
    return false;
  }
  return primitives.verify(key, signature, signedText(label, ...parts));
}
