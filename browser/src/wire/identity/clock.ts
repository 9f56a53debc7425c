// The issuer's clock, as this page knows it: times in certificates are times of that clock.
//
// Two clocks of the device are read. One only goes on, and a step of the device's time does not change
// it; but it may stand still while the device sleeps. The other shows how long that was, or somebody
// has set it: which of the two it is, only the issuer can say.

import { monotonic } from "../timing";

/** Seconds by which the device's time is ahead where it has slept, or was set. */
const STEP = 30;

/** This device's clock, then the issuer's, once a certificate has said what time it is there. */
export class IssuerClock {
  /** From each of the two to the issuer's. */
  #steadyOffset: number;
  #wallOffset = 0;
  #hasTold = false;
  /** Called once when the device's time is ahead: the issuer is to be asked. */
  ahead: () => void = () => {};

  /**
   * @param wall Unix seconds here
   * @param steady seconds that only go on
   */
  constructor(
    readonly wall: () => number = () => Date.now() / 1000,
    readonly steady: () => number = monotonic,
  ) {
    this.#steadyOffset = wall() - steady();
  }

  /** Unix seconds at the issuer, as far as it is known: what others' certificates are held to. */
  now(): number {
    if (this.latest() > this.#steadily && !this.#hasTold) {
      this.#hasTold = true;
      this.ahead();
    }
    return this.#steadily;
  }

  /** What it is if the device has slept: good for asking the issuer in time, and for nothing else. */
  latest(): number {
    const wall = this.wall() + this.#wallOffset;
    return wall > this.#steadily + STEP ? wall : this.#steadily;
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
      this.#steadyOffset += (least + most) / 2;
    }
    this.#wallOffset = this.#steadily - this.wall();
    this.#hasTold = false;
  }

  get #steadily(): number {
    return this.steady() + this.#steadyOffset;
  }
}
