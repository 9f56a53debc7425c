// How the next certificate of an open WebSocket wire goes: as a handshake step.

import { RemoteProtocolError } from "../../errors";
import { parseStep, writeStep } from "./lane-frames";

/** The step that has this certificate. */
export function writeRenewal(certificate: Uint8Array): Uint8Array {
  return writeStep({ case: "renewal", value: certificate });
}

/** The certificate of a step. Throws `RemoteProtocolError` if it has none. */
export function readRenewal(data: Uint8Array): Uint8Array {
  const step = parseStep(data);
  if (step.case !== "renewal") {
    throw new RemoteProtocolError("a step of the handshake after its end");
  }
  return step.value;
}
