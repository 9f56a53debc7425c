// How a dialler and the listener of a WebSocket wire learn who the other is (docs/protocol.md):
//
//     dialler                                  listener
//        | hello: version, from, to, nonce, certificate
//        |--------------------------------------->|
//        | challenge: nonce, proof_required, certificate
//        |<---------------------------------------|
//        | proof: mac, signature                  |
//        |--------------------------------------->|
//        |       welcome: mac, signature, or error|
//        |<---------------------------------------|
//
// With a realm secret both macs are HMAC-SHA256 over a label, both ids and both nonces, so neither can
// be replayed or reflected, and the secret never travels; with certificates both sides sign
// (`proofs.ts` says what is required). In TLS the proof goes with the hello, for a nonce of TLS, where
// that is known: a browser does not tell it. A page has no port: the other side is for wires that
// signaling relays (`listener.ts`).

import { RemoteProtocolError, UnreachableError } from "../../errors";
import { isEqual } from "../bytes";
import type { Certificate } from "../identity/certificates";
import type { Certified, Primitives } from "../identity/identity";
import type { ActrId } from "../identity/ids";
import { agreed, MESSAGE_BYTES, parseStep, writeStep } from "./lane-frames";
import type { Ends } from "./proofs";
import { boundNonce, Proofs, RELAYED } from "./proofs";
import type { WireChallenge } from "./tables";

export const VERSION = 1;
export const NONCE_BYTES = 32;

/** Where the dialler stands: what it waits for, or how it ended. */
export type State = "hello" | "challenge" | "welcome" | "done" | "failed";

/**
 * - `reply`: send `step`, unless it is empty, and wait for the next one.
 * - `accepted`: the far side is who it should be. `messageBytes` is the longest wire message of a
 *   session to send: both sides take it. `certificate` is the far side's, where this one requires it.
 */
export type Outcome =
  | { readonly kind: "reply"; readonly step: Uint8Array }
  | {
      readonly kind: "accepted";
      readonly remote: ActrId;
      readonly messageBytes: number;
      readonly certificate: Certificate | undefined;
      /** To send first, at the side that was asked. */
      readonly step?: Uint8Array;
    };

export interface DiallerOptions {
  readonly primitives: Primitives;
  readonly local: ActrId;
  readonly remote: ActrId;
  /** 32 random bytes, new for each handshake. */
  readonly nonce: Uint8Array;
  /** The realm secret; undefined in development mode. */
  readonly secret?: Uint8Array | undefined;
  /** What this side has to prove itself by certificate. */
  readonly certified?: Certified | undefined;
}

/** The side that dialled: `start`, then `receive`, one step after the other, until accepted. */
export class DiallerHandshake {
  state: State = "hello";
  readonly #options: DiallerOptions;
  readonly #proofs: Proofs;
  #ends: Ends;
  #bound = new Uint8Array();

  constructor(options: DiallerOptions) {
    const { primitives, local, remote, nonce, secret, certified } = options;
    this.#options = options;
    this.#proofs = new Proofs(primitives, secret, certified);
    this.#ends = {
      dialler: local,
      listener: remote,
      diallerNonce: nonce,
      listenerNonce: new Uint8Array(),
      tlsKey: new Uint8Array(),
    };
  }

  /**
   * The wire is in TLS, and its listener has to prove that this key of it is its own. Returns a proof
   * that goes with the hello, and is good for the `boundNonce` of what only this TLS has.
   *
   * @param binding that; empty: nothing is known that only this TLS has, and nothing is returned
   */
  async sealed(tlsKey: Uint8Array, binding: Uint8Array = new Uint8Array()): Promise<Uint8Array> {
    this.#proofs.seal(tlsKey);
    if (binding.length === 0) {
      return binding;
    }
    this.#bound = new Uint8Array(await boundNonce(this.#options.primitives, binding));
    const { signature } = await this.#prove(this.#bound);
    // A mac is for a listener that has shown itself.
    return writeStep({ case: "proof", value: { signature } });
  }

  /** The wire is sealed, with the nonces as public keys. */
  relayed(): void {
    this.#proofs.tlsKey = RELAYED;
  }

  /** The hello. */
  start(): Uint8Array {
    this.state = "challenge";
    const { local, remote, nonce } = this.#options;
    const value = {
      version: VERSION,
      from: local.toMessage(),
      to: remote.toMessage(),
      nonce,
      certificate: this.#proofs.shown,
      wireMessageBytes: MESSAGE_BYTES,
    };
    return writeStep({ case: "hello", value });
  }

  /**
   * Takes the listener's next step. Rejects with `UnreachableError` if the listener refuses, or asks
   * for a proof and there is none, and with `RemoteProtocolError` if the step is malformed, out of
   * turn, or does not prove what is required here; a `CertificateError` says what is wrong with its
   * certificate.
   */
  async receive(data: Uint8Array): Promise<Outcome> {
    const { remote } = this.#options;
    const expected = this.state;
    this.state = "failed"; // unless what follows ends well
    const step = parseStep(data);
    const isWaiting = expected === "challenge" || expected === "welcome";
    if (step.case === "welcome" && step.value.error !== undefined && isWaiting) {
      throw new UnreachableError(remote.text, step.value.error.message);
    }
    if (step.case === "challenge" && expected === "challenge") {
      const reply = await this.#answer(step.value);
      this.state = "welcome";
      return { kind: "reply", step: reply };
    }
    if (step.case === "welcome" && expected === "welcome") {
      const { mac, signature, wireMessageBytes } = step.value;
      await this.#proofs.check(remote, this.#ends, mac, signature);
      this.state = "done";
      const { certificate } = this.#proofs;
      return { kind: "accepted", remote, messageBytes: agreed(wireMessageBytes), certificate };
    }
    throw new RemoteProtocolError(`handshake step ${step.case} where ${expected.toUpperCase()} is due`);
  }

  async #answer({ nonce, certificate, proofRequired }: WireChallenge): Promise<Uint8Array> {
    if (nonce.length !== NONCE_BYTES) {
      throw new RemoteProtocolError(`a challenge with a nonce of ${nonce.length} bytes`);
    }
    const { remote, secret } = this.#options;
    await this.#proofs.examine(certificate, remote);
    if (proofRequired && !secret?.length) {
      const why = "it asks for proof of the realm secret and none is configured here";
      throw new UnreachableError(remote.text, why);
    }
    if (isEqual(nonce, this.#bound)) {
      return new Uint8Array(); // it has the proof
    }
    return writeStep({ case: "proof", value: await this.#prove(nonce) });
  }

  /** The own proof for the listener's nonce. */
  #prove(listenerNonce: Uint8Array): Promise<{ mac: Uint8Array; signature: Uint8Array }> {
    this.#ends = { ...this.#ends, listenerNonce, tlsKey: this.#proofs.tlsKey };
    return this.#proofs.prove(this.#ends);
  }
}
