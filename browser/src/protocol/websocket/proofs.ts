// What the two ends of a WebSocket wire show each other, and what a dialler requires.
//
//     requires       a far side shows            is taken when
//     nothing        anything                    always: development mode
//     secret         a mac of the realm secret   the mac is right
//     certificate    a certificate, in TLS       its issuer is believed, it covers the id, its key is
//                                                that of TLS, and has signed
//
// Each side shows all it has and decides by what it requires, whatever the other one asks for: who
// requires a certificate takes nothing less from anybody, on any wire. A signature is over both ids,
// both nonces and the key of the listener's TLS certificate: who ends TLS in between has another key,
// so that what it passes on is good for neither side.

import { RemoteProtocolError } from "../../errors";
import { concat, isEqual, utf8 } from "../bytes";
import type { Certificate } from "../identity/certificates";
import { covers } from "../identity/certificates";
import type { Certified, Primitives } from "../identity/identity";
import type { ActrId } from "../identity/ids";
import { DIAL, isSigned, LISTEN, NONCE, signedText } from "../identity/signatures";

export type Requirement = "nothing" | "secret" | "certificate";

/**
 * How an address is dialled.
 *
 * - `by name`: TLS to a proxy, which an authority of this machine vouches for.
 * - `by key`: TLS to the actor, which its certificate vouches for.
 */
export type Way = "plain" | "by name" | "by key" | "refused";

/**
 * By what this side requires, whether it has a certificate, and the scheme of the address. A browser
 * has no way to dial by key.
 */
export function wayOf(requires: Requirement, hasCertificate: boolean, scheme: "ws" | "wss"): Way {
  if (scheme === "ws") {
    return requires === "certificate" ? "refused" : "plain";
  }
  return hasCertificate ? "by key" : "by name";
}

/** Why a far side is not believed; a certificate has faults of its own. */
export type Unproven =
  | "not in TLS"
  | "no certificate"
  | "id not covered"
  | "another key in TLS"
  | "key not proven"
  | "secret not proven";

/** A far side does not prove what is required here. */
export class ProofError extends RemoteProtocolError {
  override name = "ProofError";

  constructor(
    readonly unproven: Unproven,
    text: string,
  ) {
    super(text);
  }
}

/** Who proves something: its labels differ, so that nothing can be sent back. */
export type Side = "dialler" | "listener";

const MAC_LABELS: Readonly<Record<Side, string>> = {
  dialler: "actr/wire/v1/dial",
  listener: "actr/wire/v1/listen",
};
const LABELS: Readonly<Record<Side, string>> = { dialler: DIAL, listener: LISTEN };

/**
 * In place of the key of TLS, on a wire that signaling relays: there the nonces are the public keys that
 * it is sealed with, so that a proof is for this sealing and no other.
 */
export const RELAYED = utf8("relayed");

/** One handshake, as both of its ends know it. */
export interface Ends {
  readonly dialler: ActrId;
  readonly listener: ActrId;
  readonly diallerNonce: Uint8Array;
  readonly listenerNonce: Uint8Array;
  /** Raw key of the listener's TLS certificate, or `RELAYED`; empty without TLS. */
  readonly tlsKey: Uint8Array;
}

/** What is signed. */
function partsOf({ dialler, listener, diallerNonce, listenerNonce, tlsKey }: Ends): Uint8Array[] {
  return [utf8(dialler.text), utf8(listener.text), diallerNonce, listenerNonce, tlsKey];
}

/** One side's proof of the realm secret; empty without one. */
export async function makeMac(
  primitives: Primitives,
  secret: Uint8Array | undefined,
  side: Side,
  ends: Ends,
): Promise<Uint8Array> {
  if (!secret?.length) {
    return new Uint8Array();
  }
  const ids = utf8(`${MAC_LABELS[side]}\0${ends.dialler}\0${ends.listener}\0`);
  return primitives.hmac(secret, concat([ids, ends.diallerNonce, ends.listenerNonce]));
}

/**
 * The listener's nonce of a handshake whose proof comes with the upgrade.
 *
 * @param binding what only this TLS has, to which both sides gave random bytes
 */
export function boundNonce(primitives: Primitives, binding: Uint8Array): Promise<Uint8Array> {
  return primitives.sha256(signedText(NONCE, binding));
}

/** What a side with this requires of every far side, on every wire. */
export function required(
  secret: Uint8Array | undefined,
  certified: Certified | undefined,
): Requirement {
  if (certified?.isRequired) {
    return "certificate";
  }
  return secret?.length ? "secret" : "nothing";
}

/** One side's in one handshake: what it shows, and what it holds the far side to. */
export class Proofs {
  requires: Requirement;
  private readonly far: Side;
  /** Raw key of the listener's TLS certificate; empty without TLS. */
  tlsKey: Uint8Array = new Uint8Array();
  /** The far side's, once it is believed; its holder has proved nothing until then. */
  certificate: Certificate | undefined;

  constructor(
    readonly primitives: Primitives,
    readonly secret: Uint8Array | undefined,
    readonly certified: Certified | undefined,
    readonly side: Side = "dialler",
  ) {
    this.requires = required(secret, certified);
    this.far = side === "dialler" ? "listener" : "dialler";
  }

  /** The wire is in TLS by key: the listener has to be the one whose key that is. */
  seal(tlsKey: Uint8Array): void {
    this.tlsKey = tlsKey;
    this.requires = "certificate";
  }

  /** The own certificate; empty: there is none. */
  get shown(): Uint8Array {
    return utf8(this.certified?.identity.certificate ?? "");
  }

  /**
   * Takes the certificate that the far side shows before it proves that it is its own. Rejects with
   * `CertificateError` if it is not believed, and with `ProofError` if one is due and there is none,
   * or it is of somebody else.
   */
  async examine(certificate: Uint8Array, who: ActrId): Promise<void> {
    if (this.requires !== "certificate") {
      return;
    }
    if (this.tlsKey.length === 0 || this.certified === undefined) {
      throw new ProofError("not in TLS", `${who} is to be reached in TLS only, and this is none`);
    }
    if (certificate.length === 0) {
      const text = `${who} shows no certificate, and one is required here`;
      throw new ProofError("no certificate", text);
    }
    const read = await this.certified.verify(certificate);
    if (!covers(read, who)) {
      const text = `${who} shows a certificate of ${read.subject} in realm ${read.realm}`;
      throw new ProofError("id not covered", text);
    }
    if (this.far === "listener" && !isEqual(this.tlsKey, RELAYED) && !isEqual(read.key, this.tlsKey)) {
      throw new ProofError(
        "another key in TLS",
        `the TLS of ${who} is with another key than its certificate's: somebody is between`,
      );
    }
    this.certificate = read;
  }

  /** The own mac and signature; each empty where there is nothing to make it with. */
  async prove(ends: Ends): Promise<{ mac: Uint8Array; signature: Uint8Array }> {
    const mac = await makeMac(this.primitives, this.secret, this.side, ends);
    const text = signedText(LABELS[this.side], ...partsOf(ends));
    const signature = (await this.certified?.identity.sign(text)) ?? new Uint8Array();
    return { mac, signature };
  }

  /** Holds the far side to what is required; rejects with `ProofError` if it does not prove it. */
  async check(who: ActrId, ends: Ends, mac: Uint8Array, signature: Uint8Array): Promise<void> {
    if (this.requires === "nothing") {
      return;
    }
    const { primitives, certificate } = this;
    if (this.requires === "secret") {
      const expected = await makeMac(primitives, this.secret, this.far, ends);
      if (mac.length === 0 || !isEqual(mac, expected)) {
        const text = `${who} does not prove that it has the realm secret`;
        throw new ProofError("secret not proven", text);
      }
      return;
    }
    const parts = partsOf(ends);
    if (!certificate || !(await isSigned(primitives, certificate.key, signature, LABELS[this.far], ...parts))) {
      const text = `${who} does not prove that it has the key of its certificate`;
      throw new ProofError("key not proven", text);
    }
  }
}
