// In words: why the service refuses this actor, or did not hand something over.

import type { PeerError } from "../../errors";
import { BusyError, ConfigError, UnreachableError } from "../../errors";
import type { ActrId } from "../identity/ids";
import { CloseCode } from "../wire/close-codes";
import type { Hello, WhyUndelivered } from "./messages";
import type { Proofs } from "./proofs";

/** @param isCertified whether this actor shows a certificate */
export function refused(id: ActrId, code: number, message: string, isCertified: boolean): PeerError {
  let why = "what the actor says of itself cannot be used";
  if (code === CloseCode.REPLACED) {
    return new BusyError(
      `another process has the identity ${id}: stop that, or give this one another id`,
    );
  } else if (code === CloseCode.UNAUTHENTICATED) {
    why = isCertified
      ? "look at its certificate, and at the clocks of both"
      : "check that both have the same realm secret";
  } else if (code === CloseCode.FORBIDDEN) {
    why = "its rules do not let this identity in";
  }
  return new ConfigError(`the signaling service refuses ${id}: ${code} ${message} (${why})`);
}

/**
 * What the service asks for and this actor cannot give, or what it should ask for and does not;
 * undefined: nothing.
 */
export function lacking(hello: Hello, proofs: Proofs): ConfigError | undefined {
  const { proofRequired, certificateRequired } = hello;
  if (proofs.isSecretRequired && !proofRequired && !certificateRequired) {
    return new ConfigError(
      "the signaling service is in development mode, where anybody may be any actor, and this actor " +
        "requires the realm's secret of others: give the service that secret, or this actor none",
    );
  }
  if (proofs.certified !== undefined) {
    return undefined;
  }
  if (certificateRequired) {
    return new ConfigError(
      "the signaling service asks for a certificate and this actor has none: give it one",
    );
  }
  if (proofRequired && !proofs.hasSecret) {
    return new ConfigError(
      "the signaling service asks for proof of the realm secret and none is configured: set the " +
        "realm secret of this actor",
    );
  }
  return undefined;
}

/** Says in words why a relay did not arrive. */
export function undelivered(to: ActrId, reason: WhyUndelivered): UnreachableError {
  return new UnreachableError(to.text, WHY[reason]);
}

const WHY: Readonly<Record<WhyUndelivered, string>> = {
  unknown: "signaling knows no such actor",
  offline: "it is offline",
  "not allowed": "it does not let this actor reach it",
  expired: "signaling could not hand it over in time",
  overloaded: "it takes no more messages now",
};
