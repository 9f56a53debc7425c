// When an actor asks its issuer for a certificate, and what it has meanwhile.
//
// A certificate is renewed at two thirds of its life, each actor a little earlier by its own dice, so
// that those who began together do not ask together. An issuer that is away or refuses takes nothing
// from a certificate that lives: it is asked again, later each time. `now` is Unix seconds at the issuer,
// which may turn out to be another; waits are of a `steady` clock, which only goes on, in seconds. A timer
// that comes late asks at once: nothing here counts how often it was called.

import { Backoff } from "../wire/backoff";
import type { Certificate } from "./certificates";

/** Of the life: a third is left for an issuer that is away. */
const RENEW_AT = 2 / 3;
/** Of the life, by which it may be earlier. */
const SPREAD = 1 / 10;
/** Seconds between two questions to an issuer that does not answer. */
const FIRST_RETRY = 1;
const MOST_RETRY = 60;
/** To one that says no: somebody has to do something first, there and not here. */
const REFUSED_RETRY = 300;
/** Between two certificates, however short their lives. */
const LEAST_GAP = 1;

/** When a certificate is to be renewed. @param dice random, 0 to 1 */
export function renewal({ issuedAt, expiresAt }: Certificate, dice: number): number {
  return issuedAt + (expiresAt - issuedAt) * (RENEW_AT - SPREAD * dice);
}

/** One actor's certificate over time. */
export class Keeping {
  #certificate: Certificate | undefined;
  #renewAt = 0;
  /** By the steady clock. */
  #notBefore = 0;
  readonly #backoff = new Backoff(FIRST_RETRY, MOST_RETRY);

  /** The newest one; undefined: there never was one. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** Seconds until the issuer is to be asked; 0 or less: now. */
  wait(now: number, steady: number): number {
    return Math.max(this.#renewAt - now, this.#notBefore - steady);
  }

  /** Whether there is a certificate that is good now. */
  lives(now: number): boolean {
    return this.left(now) > 0;
  }

  /** Seconds that the newest one is good for; 0: there is none that is. */
  left(now: number): number {
    return Math.max(0, (this.#certificate?.expiresAt ?? 0) - now);
  }

  /** The issuer has given one, now or to an earlier load of the page. */
  given(certificate: Certificate, steady: number, dice: number): void {
    this.#backoff.succeeded();
    this.#certificate = certificate;
    this.#renewAt = renewal(certificate, dice);
    this.#notBefore = steady + LEAST_GAP;
  }

  /**
   * The issuer did not answer, or asks to come later.
   *
   * @param retryAfter seconds that it asks for; believed up to five minutes
   */
  away(steady: number, dice: number, retryAfter = 0): void {
    this.hurry();
    this.#notBefore = steady + Math.max(this.#backoff.failed(dice), Math.min(retryAfter, REFUSED_RETRY));
  }

  /** The issuer says no; the last one may still live. */
  refused(steady: number): void {
    this.hurry();
    this.#notBefore = steady + REFUSED_RETRY;
  }

  /** Somebody has done something, or the network is another: whoever waits asks again now. */
  hurry(): void {
    this.#renewAt = this.#notBefore = 0;
  }
}
