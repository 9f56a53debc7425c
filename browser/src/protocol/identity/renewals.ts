// The certificates of an open wire, which outlives them: each side sends its next one.
//
// A certificate lives for minutes, a wire for days. Who holds the key has proved it when the wire was
// made, so that the next certificate of the same key needs no proof on it. A wire whose far side has
// sent none in time ends: whom the issuer gives none is out with its last one, everywhere.

import { CertificateError, CertificateFault, RemoteProtocolError } from "../../errors";
import { isEqual, utf8 } from "../bytes";
import type { Certificate } from "./certificates";
import { covers, LEEWAY } from "./certificates";
import type { Certified } from "./identity";
import type { ActrId } from "./ids";

/** How often the own certificate is looked at while the far side's lives. */
const LOOKS = 4;
/** Seconds between two looks. */
const MAX_LOOK = 30;
const MIN_LOOK = 1;
/** Certificates that a far side may send at once; in the long run one in a second. */
const BURST = 8;

/** One wire's. `now` is in Unix seconds, by the clock that certificates are held to. */
export class Renewals {
  #far: Certificate;
  #shown: string;
  #allowed = BURST;
  #allowedAt: number;
  #lookAt: number;

  /**
   * @param far what the far side has shown when the wire was made
   * @param shown what this side has shown it then
   */
  constructor(
    readonly certified: Certified,
    readonly remote: ActrId,
    far: Certificate,
    now: number,
    shown: string,
  ) {
    this.#far = far;
    this.#shown = shown;
    this.#allowedAt = now;
    this.#lookAt = this.#nextLook(now);
  }

  /** The far side's newest certificate. */
  get far(): Certificate {
    return this.#far;
  }

  /**
   * Takes the far side's next certificate; rejects with `CertificateError` if it is not believed, and
   * with `RemoteProtocolError` if it is of another key or for somebody else, or too soon.
   */
  async take(certificate: Uint8Array, now: number): Promise<void> {
    this.#allowed = Math.min(BURST, this.#allowed + Math.max(0, now - this.#allowedAt)) - 1;
    this.#allowedAt = now;
    if (this.#allowed < 0) {
      throw new RemoteProtocolError(`over ${BURST} certificates at once`);
    }
    const read = await this.certified.verify(certificate);
    if (!isEqual(read.key, this.#far.key) || !covers(read, this.remote)) {
      throw new RemoteProtocolError(
        `the next certificate of ${this.remote} is of another key, or for somebody else`,
      );
    }
    this.#far = read;
  }

  /** Seconds until `step` has something to do. */
  due(now: number): number {
    return Math.max(0, Math.min(this.#lookAt, this.#far.expiresAt + LEEWAY) - now);
  }

  /**
   * A certificate to send, as ASCII; empty: there is nothing to say yet. Throws `CertificateError` if
   * the far side's certificate has ended and no other has come.
   */
  step(now: number): Uint8Array {
    if (now >= this.#far.expiresAt + LEEWAY) {
      throw new CertificateError(
        CertificateFault.EXPIRED,
        `the certificate of ${this.remote} has ended, and it has sent no other`,
      );
    }
    if (now < this.#lookAt) {
      return utf8("");
    }
    this.#lookAt = this.#nextLook(now);
    const newest = this.certified.identity.certificate;
    if (newest === this.#shown) {
      return utf8("");
    }
    this.#shown = newest || this.#shown;
    return utf8(newest);
  }

  /** Soon again: the own one is renewed while a third of its life is left. */
  #nextLook(now: number): number {
    const left = this.#far.expiresAt - now;
    return now + Math.min(MAX_LOOK, Math.max(MIN_LOOK, left / LOOKS));
  }
}
