// The cryptography that the cores ask for, by WebCrypto.

import type { Identity, Primitives } from "../protocol/identity/identity";

const { subtle } = globalThis.crypto;

/** WebCrypto takes no bytes that another thread may change: a copy, where they might be such. */
function own(data: Uint8Array): Uint8Array<ArrayBuffer> {
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
    } catch {
      return false; // bytes that are no point of the curve
    }
  },
};

/** A key of WebCrypto, and the certificate of it that somebody keeps. */
export class OwnIdentity implements Identity {
  readonly #key: CryptoKey;
  readonly #certificate: () => string;

  /**
   * @param key private, and never shown
   * @param certificate asked for the newest one each time
   */
  constructor(key: CryptoKey, certificate: () => string) {
    this.#key = key;
    this.#certificate = certificate;
  }

  get certificate(): string {
    return this.#certificate();
  }

  async sign(data: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await subtle.sign("Ed25519", this.#key, own(data)));
  }
}
