// The negotiation steps of actr/signaling.proto to values and back.

import { LimitError, RemoteProtocolError } from "../../errors";
import { characters } from "../bytes";
import type { Init } from "../protobuf";
import { MAX_CERTIFICATE_BYTES } from "../identity/certificates";
import { SIGNATURE_BYTES } from "../identity/signatures";
import { MAX_SDP_CHARACTERS } from "./candidates";
import type { Body, NegotiateMessage, Proof } from "./negotiation";
import { RequestCause } from "./negotiation";
import type { Negotiate } from "./tables";

/** Two ids, a connection id and numbers. */
const MAX_STATEMENT_BYTES = 2048;
/** Of a bye: signaling carries no longer one. */
const MAX_REASON_CHARACTERS = 256;

/**
 * The protobuf form; the reason of a bye is cut. Throws `LimitError` if a description is longer than
 * signaling carries.
 */
export function packNegotiate(message: NegotiateMessage): Init<Negotiate> {
  const { connectionId, exchange, body, proof } = message;
  return { connectionId, exchange, body: packBody(body), ...proof };
}

function packBody(body: Body): NonNullable<Init<Negotiate>["body"]> {
  switch (body.kind) {
    case "offer":
    case "answer": {
      const size = characters(body.sdp);
      if (size > MAX_SDP_CHARACTERS) {
        throw new LimitError("characters of SDP", MAX_SDP_CHARACTERS, size);
      }
      return { case: body.kind, value: { sdp: body.sdp, trackIds: body.trackIds } };
    }
    case "candidate": {
      const { candidate, sdpMid, sdpMLineIndex } = body;
      return { case: body.kind, value: { candidate, sdpMid, sdpMLineIndex } };
    }
    case "requestOffer":
      return { case: body.kind, value: { cause: body.cause as number, tracks: body.tracks } };
    case "bye": {
      const reason = [...body.reason].slice(0, MAX_REASON_CHARACTERS).join("");
      return { case: body.kind, value: { reason } };
    }
    case "wire":
      return { case: body.kind, value: {} };
  }
}

/**
 * Reads the protobuf form; throws `RemoteProtocolError` if it has no body that this version knows, or
 * too long a proof.
 */
export function unpackNegotiate(packed: Negotiate): NegotiateMessage {
  const { connectionId, exchange } = packed;
  const proof = proofOf(packed);
  return { connectionId, exchange, body: bodyOf(packed), ...(proof && { proof }) };
}

function bodyOf({ body }: Negotiate): Body {
  switch (body.case) {
    case "offer":
    case "answer":
      return { kind: body.case, sdp: body.value.sdp, trackIds: { ...body.value.trackIds } };
    case "candidate": {
      const { candidate, sdpMid, sdpMLineIndex } = body.value;
      return { kind: body.case, candidate, sdpMid, sdpMLineIndex };
    }
    case "requestOffer": {
      const cause: number = body.value.cause;
      if (RequestCause[cause] === undefined) {
        throw new RemoteProtocolError(`a request for an offer with cause ${cause}`);
      }
      return { kind: body.case, cause, tracks: { ...body.value.tracks } };
    }
    case "bye":
      return { kind: body.case, reason: body.value.reason };
    case "wire":
      return { kind: body.case };
    case undefined:
      throw new RemoteProtocolError("a negotiation step without a body");
  }
}

/** What was signed of a description; undefined: nothing was. */
function proofOf({ statement, certificate, signature }: Negotiate): Proof | undefined {
  if (statement.length + certificate.length + signature.length === 0) {
    return undefined;
  }
  if (
    statement.length > MAX_STATEMENT_BYTES ||
    certificate.length > MAX_CERTIFICATE_BYTES ||
    signature.length > SIGNATURE_BYTES
  ) {
    throw new RemoteProtocolError("a description with too long a proof");
  }
  return { statement, certificate, signature };
}
