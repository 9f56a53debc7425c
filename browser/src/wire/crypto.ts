// The cryptography that the cores ask for, by WebCrypto.

import type { Primitives } from "../protocol/identity/identity";

const { subtle } = globalThis.crypto;

/** WebCrypto takes no bytes that another thread may change: a copy, where they might be such. */
export function own(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer
    ? (data as Uint8Array<ArrayBuffer>)
    : new Uint8Array(data);
}

export const webCrypto: Primitives = {
  async sha256(data) {
    return new Uint8Array(await subtle.digest("SHA-256", own(data)));
  },
  async hmac(secret, data) {
    const how = { name: "HMAC", hash: "SHA-256" };
    const key = await subtle.importKey("raw", own(secret), how, false, ["sign"]);
    return new Uint8Array(await subtle.sign("HMAC", key, own(data)));
  },
  async verify(key, signature, data) {
    try {
      const read = await subtle.importKey("raw", own(key), "Ed25519", false, ["verify"]);
      return await subtle.verify("Ed25519", read, own(signature), own(data));
    } catch (error) {
      // Bytes that are no point of the curve; but a browser without these keys knows nothing of them.
      if (error instanceof DOMException && error.name === "NotSupportedError") {
        throw error;
      }
      return false;
    }
  },
};
