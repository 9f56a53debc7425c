// Keeps an open wire's certificates fresh: sends the own next one, and ends what has none left.

import type { PeerError } from "../errors";
import { RemoteProtocolError } from "../errors";
import type { Certificate } from "../protocol/identity/certificates";
import type { Certified } from "../protocol/identity/identity";
import type { ActrId } from "../protocol/identity/ids";
import { Renewals } from "../protocol/identity/renewals";
import type { Revoked } from "../protocol/identity/revoked";
import { Timer } from "./timing";

/** One wire's; owned by it. */
export class Renewing {
  #renewals: Renewals | undefined;
  #hasStopped = false;
  readonly #timer = new Timer();

  /**
   * @param certified undefined: this side has no certificate, and nothing is renewed
   * @param send sends the far side a certificate
   * @param ended told when the far side's last certificate is over, or what it sends is none
   */
  constructor(
    readonly certified: Certified | undefined,
    readonly send: (certificate: Uint8Array) => void,
    readonly ended: (error: PeerError) => void,
    readonly stopped: () => void = () => {},
  ) {}

  /** The far side's newest, which it has proved to be its own; undefined: none is required. */
  get certificate(): Certificate | undefined {
    return this.#renewals?.far;
  }

  /**
   * The wire is open, and its far side has shown this.
   *
   * @param shown what this side has shown
   */
  begin(remote: ActrId, certificate: Certificate | undefined, shown: string): void {
    if (this.certified !== undefined && certificate !== undefined) {
      const now = this.certified.now();
      this.#renewals = new Renewals(this.certified, remote, certificate, now, shown);
      this.#arm();
    }
  }

  /** Takes what the far side sends; `ended` hears of what is none. */
  take(certificate: Uint8Array): void {
    if (this.certified === undefined || this.#renewals === undefined) {
      this.ended(new RemoteProtocolError("a certificate, where none has been asked for"));
      return;
    }
    this.#renewals.take(certificate, this.certified.now()).then(
      () => this.#arm(),
      (error: PeerError) => this.ended(error),
    );
  }

  /** Ends the wire of who is revoked by now. */
  refuse(revoked: Revoked): void {
    try {
      if (this.certificate !== undefined) {
        revoked.refuse(this.certificate);
      }
    } catch (error) {
      this.ended(error as PeerError);
    }
  }

  stop(): void {
    this.#hasStopped = true;
    this.#timer.stop();
    this.stopped();
  }

  #arm(): void {
    if (!this.#hasStopped) {
      this.#timer.set(this.#renewals!.due(this.certified!.now()), () => this.#look());
    }
  }

  #look(): void {
    try {
      const step = this.#renewals!.step(this.certified!.now());
      if (step.length > 0) {
        this.send(step);
      }
      this.#arm();
    } catch (error) {
      this.ended(error as PeerError);
    }
  }
}
