// What a relayed wire is sealed with, so that the service between can neither read nor change it
// (docs/protocol/relayed.md):
//
//     dialler                             listener
//        | hello: nonce = X25519 public key, certificate …
//        |------------------------------------->|
//        | challenge: nonce = X25519 public key, certificate …
//        |<-------------------------------------|
//        | proof, welcome, and all that follows: AES-256-GCM, each message under the next number
//        |<------------------------------------>|
//
// The handshake proves both nonces, and so the keys; these are of this wire only, made by HKDF-SHA256 of
// the shared secret, salted with both first messages.

import { LimitError, RemoteProtocolError } from "../errors";
import { utf8 } from "../protocol/bytes";
import { signedText } from "../protocol/identity/signatures";
import { decode, HANDSHAKE, parseStep } from "../protocol/websocket/lane-frames";
import { own } from "./crypto";

const { subtle } = globalThis.crypto;

const SALT = "actr/wire/v2/relayed";
const INFO = "actr/wire/v2/sealed";
const KEY_BYTES = 32;
const CIPHER = "AES-GCM";
/** Under one key; then another wire takes over. */
const MAX_MESSAGES = 1 << 24;

interface Keys {
  readonly out: CryptoKey;
  readonly come: CryptoKey;
}

/** One end's. `seal` is called for one message after the other, and so is `open`. */
export class Sealing {
  #firstOut: Uint8Array | undefined;
  #firstIn: Uint8Array | undefined;
  #keys: Promise<Keys> | undefined;
  #sent = 0;
  #received = 0;

  /** @param nonce the public key, to be the nonce of this side's first step */
  private constructor(
    private readonly isDialler: boolean,
    private readonly key: CryptoKey,
    readonly nonce: Uint8Array,
  ) {}

  static async make(isDialler: boolean): Promise<Sealing> {
    const pair = (await subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
    const nonce = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
    return new Sealing(isDialler, pair.privateKey, nonce);
  }

  /**
   * What to send for a frame: the first one goes as it is. Rejects with `LimitError` if so many have
   * gone that the keys are used up, and with `RemoteProtocolError` if the far side gave no key that can
   * be used.
   */
  async seal(frame: Uint8Array): Promise<Uint8Array> {
    if (this.#firstOut === undefined) {
      this.#firstOut = frame;
      return frame;
    }
    if (this.#sent === MAX_MESSAGES) {
      throw new LimitError("messages of a relayed wire", MAX_MESSAGES, MAX_MESSAGES + 1);
    }
    const iv = numbered(++this.#sent);
    const { out } = await (this.#keys ??= this.#agree());
    return new Uint8Array(await subtle.encrypt({ name: CIPHER, iv }, out, own(frame)));
  }

  /**
   * The frame of a message that has come: the first one is it. Rejects with `RemoteProtocolError` if it
   * is not what the far side has sealed, and next.
   */
  async open(message: Uint8Array): Promise<Uint8Array> {
    if (this.#firstIn === undefined) {
      this.#firstIn = message;
      return message;
    }
    const iv = numbered(++this.#received);
    const { come } = await (this.#keys ??= this.#agree());
    try {
      return new Uint8Array(await subtle.decrypt({ name: CIPHER, iv }, come, own(message)));
    } catch (cause) {
      throw new RemoteProtocolError("a message of a relayed wire that does not open", { cause });
    }
  }

  async #agree(): Promise<Keys> {
    const [first, second] = [this.#firstOut, this.#firstIn];
    if (first === undefined || second === undefined) {
      throw new RemoteProtocolError("a second message before the first of the other end");
    }
    let shared: ArrayBuffer;
    try {
      const far = await subtle.importKey("raw", own(nonceOf(second)), "X25519", false, []);
      shared = await subtle.deriveBits({ name: "X25519", public: far }, this.key, 8 * KEY_BYTES);
    } catch (cause) {
      // Another length, or a point of small order.
      throw new RemoteProtocolError("a nonce that is no key to seal with", { cause });
    }
    const [dialler, listener] = this.isDialler ? [first, second] : [second, first];
    const salt = await subtle.digest("SHA-256", own(signedText(SALT, dialler, listener)));
    const base = await subtle.importKey("raw", shared, "HKDF", false, ["deriveBits"]);
    const how = { name: "HKDF", hash: "SHA-256", salt, info: own(utf8(INFO)) };
    const made = await subtle.deriveBits(how, base, 16 * KEY_BYTES);
    const halves = [made.slice(0, KEY_BYTES), made.slice(KEY_BYTES)];
    const [out, come] = this.isDialler ? halves : halves.reverse();
    return {
      out: await subtle.importKey("raw", out!, CIPHER, false, ["encrypt"]),
      come: await subtle.importKey("raw", come!, CIPHER, false, ["decrypt"]),
    };
  }
}

/** The nonce of a first step; empty: it is none that has one. */
function nonceOf(frame: Uint8Array): Uint8Array {
  const { type, data } = decode(frame);
  const step = type === HANDSHAKE ? parseStep(data) : undefined;
  return step?.case === "hello" || step?.case === "challenge" ? step.value.nonce : new Uint8Array();
}

function numbered(count: number): Uint8Array<ArrayBuffer> {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setUint32(8, count);
  return iv;
}
