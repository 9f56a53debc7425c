// The issuer's clock, as this page knows it: times in certificates are times of that clock.

/**
 * This device's clock, then the issuer's, once a certificate has said what time it is there. A clock
 * that only goes on would be of no use: a browser's stands still while the device sleeps, and the
 * issuer's does not.
 */
export class IssuerClock {
  #offset = 0;

  /** @param wall Unix seconds here */
  constructor(readonly wall: () => number = () => Date.now() / 1000) {}

  /** Unix seconds at the issuer, as far as it is known. */
  now(): number {
    return this.wall() + this.#offset;
  }

  /**
   * Takes the time of a certificate that was just given.
   *
   * @param issuedAt its `iat`, which has no fraction
   * @param askedAt `now` when it was asked for
   * @param answeredAt the same when it came
   */
  learn(issuedAt: number, askedAt: number, answeredAt: number): void {
    // It was made between question and answer, some time in the second that it names.
    const [least, most] = [issuedAt - answeredAt, issuedAt + 1 - askedAt];
    if (least > 0 || most < 0) {
      this.#offset += (least + most) / 2;
    }
  }
}
