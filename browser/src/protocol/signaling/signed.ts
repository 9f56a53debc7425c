// What is believed of what the service says of others (docs/protocol/trust.md).
//
// The service and its store hand on what actors say. An actor that knows issuer keys takes of it what
// the actor itself has signed: id, address, services, incarnation and metadata, and nothing that is
// older than what it has seen. Load, epoch and who left are the service's word: with them it can delay
// and deny, and lead nobody elsewhere.

import { CertificateError } from "../../errors";
import type { Certificate } from "../identity/certificates";
import { covers, LEEWAY } from "../identity/certificates";
import type { Certified, Primitives } from "../identity/identity";
import type { ActrId } from "../identity/ids";
import { isSigned, REGISTER as LABEL } from "../identity/signatures";
import { read as readMessage } from "../protobuf";
import type { Presence } from "./presence";
import { said } from "./presence";
import type { ReadPresence } from "./reading";
import { readPresence } from "./reading";
import { type Presence as PresenceMessage, REGISTER, type Register } from "./tables";

/** Actors of which it is known when their newest registration was signed. */
const MAX_REMEMBERED = 16_384;

/** When the newest registration of each actor was signed that has been seen here. */
export class Newest {
  readonly #seen = new Map<string, number>();

  /** @param most actors that are remembered; who was seen longest ago is forgotten first */
  constructor(readonly most = MAX_REMEMBERED) {}

  /**
   * Whether a registration is older than one that was seen, by more than clocks may differ; remembers
   * it, if it is not. Times are in Unix seconds.
   */
  isOld(actor: ActrId, at: number, now: number): boolean {
    const newest = this.#seen.get(actor.text) ?? 0;
    if (at < newest - LEEWAY) {
      return true;
    }
    // Who was ahead of its time is not kept out by that when its clock is right again.
    this.#seen.delete(actor.text);
    this.#seen.set(actor.text, Math.max(newest, Math.min(at, now)));
    if (this.#seen.size > this.most) {
      this.#seen.delete(this.#seen.keys().next().value!);
    }
    return false;
  }
}

/**
 * Reads one actor as `readPresence` does, if the actor itself has signed it.
 *
 * @param refused told whom the service named, and why nobody is believed to be that
 */
export function signedReader(
  primitives: Primitives,
  certified: Certified,
  refused: (actor: ActrId, why: string) => void,
  newest = new Newest(),
): ReadPresence {
  const faultOf = async (body: PresenceMessage, presence: Presence): Promise<string | undefined> => {
    const { signed } = body;
    if (signed === undefined) {
      return "not signed";
    }
    let certificate: Certificate;
    try {
      certificate = await certified.verify(signed.certificate);
    } catch (error) {
      if (error instanceof CertificateError) {
        return error.fault;
      }
      throw error;
    }
    if (!covers(certificate, presence.id)) {
      return "id not covered";
    }
    const { register, signature } = signed;
    if (!(await isSigned(primitives, certificate.key, signature, LABEL, register))) {
      return "bad signature";
    }
    const read = readRegister(register);
    const own = read && ownPresence(read);
    if (read === undefined || own === undefined || said(own) !== said(presence)) {
      return "differs from what is signed";
    }
    const isOld = newest.isOld(presence.id, Number(read.signedAtMs) / 1000, certified.now());
    return isOld ? "older than one seen before" : undefined;
  };
  return async (body) => {
    const presence = readPresence(body);
    const fault = presence && (await faultOf(body, presence));
    if (presence !== undefined && fault !== undefined) {
      refused(presence.id, fault);
      return undefined;
    }
    return presence;
  };
}

function readRegister(data: Uint8Array): Register | undefined {
  try {
    return readMessage(REGISTER, data);
  } catch {
    return undefined;
  }
}

function ownPresence(register: Register): Presence | undefined {
  const { id, wsAddress, services, incarnation, metadata } = register;
  return readPresence({ id, wsAddress, services, incarnation, metadata, epoch: 0n });
}
