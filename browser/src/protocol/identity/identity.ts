// Who this process is, what proves it, and the cryptography that is passed in for that.
//
// WebCrypto answers later, and so does a key that is elsewhere: what needs either is a promise.
// Whoever calls it says one thing after the other, and looks again at its own state afterwards.

import type { ReadPresence } from "../signaling/reading";
import type { Certificate } from "./certificates";
import type { ActrId } from "./ids";

/** What is computed outside of the core. */
export interface Primitives {
  sha256(data: Uint8Array): Promise<Uint8Array>;
  /** HMAC-SHA256. */
  hmac(secret: Uint8Array, data: Uint8Array): Promise<Uint8Array>;
  /** Whether the holder of an Ed25519 key (raw, 32 bytes) signed just these bytes. */
  verify(key: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean>;
}

/** What an actor shows of itself, and proves. */
export interface Identity {
  /** The newest one, as text; empty while there is none. */
  readonly certificate: string;
  /** The 64 bytes of a signature over what `signedText` has made. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** What an actor with a certificate has, on every wire and towards signaling. */
export interface Certified {
  readonly identity: Identity;
  /** Reads a certificate from elsewhere; rejects with `CertificateError` where it is not believed. */
  verify(data: Uint8Array): Promise<Certificate>;
  /**
   * Reads of others what they have signed of themselves; `refused` is told whom the signaling service
   * named, and why nobody is believed to be that.
   */
  reader(refused: (actor: ActrId, why: string) => void): ReadPresence;
  /** Unix seconds, by the clock that certificates are held to. */
  now(): number;
  /**
   * Whether others have to have one, and only what they have signed is believed of them; false only
   * while a realm goes over to certificates.
   */
  readonly isRequired: boolean;
  /** Asks for a new certificate, for the service refuses this one; settles with whether there is one. */
  renew?(): Promise<boolean>;
}
