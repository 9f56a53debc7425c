// A page's own key, and the newest certificate of it.

import { ConfigError } from "../../errors";
import type { ProvingKey } from "../../protocol/identity/asking";
import type { Identity } from "../../protocol/identity/identity";
import { own } from "../crypto";
import { find, findOrKeep, findOrReplace, forget, type Kept } from "./kept";

/** An identity key of WebCrypto, and the newest certificate of it. */
export class OwnIdentity implements Identity, ProvingKey {
  certificate = "";
  #key: CryptoKey;
  #raw: Uint8Array;

  /**
   * @param key private, and never shown
   * @param raw the public key, 32 bytes
   */
  constructor(key: CryptoKey, raw: Uint8Array) {
    this.#key = key;
    this.#raw = raw;
  }

  /** The public key, 32 bytes. */
  get raw(): Uint8Array {
    return this.#raw;
  }

  /** Has another key from now on, and no certificate yet. */
  become({ key, raw }: Pick<Kept, "key" | "raw">): void {
    [this.#key, this.#raw, this.certificate] = [key, raw, ""];
  }

  /**
   * A new key, which nobody can take out of this process, and which ends with it. Rejects with
   * `ConfigError` where there are no such keys.
   */
  static async make(): Promise<OwnIdentity> {
    const { key, raw } = await newKey();
    return new OwnIdentity(key, raw);
  }

  /**
   * The key that the browser keeps for this origin by this name, made where there is none yet: a page
   * that is loaded again has the same one, and so has another tab. Rejects with `ConfigError` where
   * there are no such keys, or none can be kept.
   */
  static async kept(name: string): Promise<OwnIdentity> {
    const { key, raw } = await keptKey(name);
    return new OwnIdentity(key, raw);
  }

  /** Deletes the key of this name, and its certificate; harmless where there is none. */
  static forget(name: string): Promise<void> {
    return forget(name);
  }

  async sign(data: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.#key, own(data)));
  }
}

/** What is kept by this name, with a new key where nothing is. */
export async function keptKey(name: string): Promise<Kept> {
  return (await find(name)) ?? findOrKeep(name, { ...(await newKey()), certificate: "", issuerKeys: new Map() });
}

/** A new key in place of the one that is kept by this name; of two tabs that do this one is first. */
export async function replacedKey(name: string, raw: Uint8Array): Promise<Kept> {
  return findOrReplace(name, raw, { ...(await newKey()), certificate: "", issuerKeys: new Map() });
}

async function newKey(): Promise<{ key: CryptoKey; raw: Uint8Array }> {
  const { subtle } = globalThis.crypto;
  if (subtle === undefined) {
    throw new ConfigError("no keys can be made in a page that came by http: serve it by https, or from localhost");
  }
  try {
    const pair = (await subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
    return { key: pair.privateKey, raw: new Uint8Array(await subtle.exportKey("raw", pair.publicKey)) };
  } catch (cause) {
    const text = "this browser has no Ed25519 keys: take Chromium 137, Firefox 129, Safari 17 or a newer one";
    throw new ConfigError(text, { cause });
  }
}
