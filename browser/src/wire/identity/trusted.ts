// Whose certificates are believed: by issuer keys that were given, or by the issuer's own word, unless
// it has revoked them. What it says is looked at again each quarter of a minute; an issuer that is away
// changes nothing, and what was known before stays.

import { PeerError } from "../../errors";
import { type Certificate } from "../../protocol/identity/certificates";
import type { Primitives } from "../../protocol/identity/identity";
import { readKeys } from "../../protocol/identity/keys";
import { Revoked } from "../../protocol/identity/revoked";
import { Verified } from "../../protocol/identity/verified";
import type { Renewing } from "../renewing";
import { Timer } from "../timing";
import type { IssuerClient } from "./issuer";

/** Seconds between two looks at what the issuer says. */
const LOOK = 15;

type Keys = ReadonlyMap<string, Uint8Array>;

export class Trusted {
  keys: Keys;
  #revoked = new Revoked();
  readonly #verified: Verified;
  readonly #timer = new Timer();
  /** Of wires that are there. */
  readonly #renewing = new Set<Renewing>();
  #hasStopped = false;
  readonly #given: boolean;

  /**
   * @param given issuer keys as the issuer's `/v1/keys` has them; undefined: its own word is taken
   * @param known what that was the last time
   */
  constructor(
    primitives: Primitives,
    readonly client: IssuerClient,
    given: string | undefined,
    known: Keys,
    readonly now: () => number,
  ) {
    this.#verified = new Verified(primitives);
    this.#given = given !== undefined;
    this.keys = given === undefined ? known : readKeys(given);
  }

  /** Rejects with `CertificateError` if a certificate is not to be believed. */
  verify(data: Uint8Array): Promise<Certificate> {
    return this.#verified.verify(data, this.keys, this.#revoked, this.now);
  }

  /** Takes the issuer's word for its keys: those that it names no more are believed no more. */
  async ask(): Promise<Keys> {
    if (!this.#given) {
      this.keys = await this.client.keys();
    }
    return this.keys;
  }

  /** Looks from now on, until `stop`. */
  begin(): void {
    void this.look();
  }

  /** Looks at what is revoked, and ends the wires of those who are. */
  async look(): Promise<void> {
    this.#timer.stop();
    try {
      // Each for itself: where one cannot be had, what was known of that stays.
      const [revoked] = await Promise.all([orNothing(this.client.revoked()), orNothing(this.ask())]);
      if (revoked !== undefined) {
        this.#revoked = revoked;
        this.#renewing.forEach((each) => each.refuse(revoked));
      }
    } finally {
      if (!this.#hasStopped) {
        this.#timer.set(LOOK, () => void this.look());
      }
    }
  }

  watch(renewing: Renewing): void {
    this.#renewing.add(renewing);
  }

  unwatch(renewing: Renewing): void {
    this.#renewing.delete(renewing);
  }

  stop(): void {
    this.#hasStopped = true;
    this.#timer.stop();
  }
}

async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof PeerError) {
      return undefined;
    }
    throw error;
  }
}
