// Envelopes from the fields that a vector names, and back.

import { CallError } from "../../src/errors";
import {
  Direction,
  encodeCancel,
  encodeError,
  encodeReply,
  encodeRequest,
  type Envelope,
} from "../../src/protocol/rpc/envelopes";
import { readError } from "../../src/protocol/rpc/call-errors";
import { hex, unhex } from "./vectors";

type Fields = Record<string, any>;

export function errorOf(fields: Fields): CallError {
  return new CallError(fields.code, fields.message, {
    retryable: fields.retryable,
    retryAfter: fields.retry_after_ms ? fields.retry_after_ms / 1000 : null,
    domain: fields.domain,
  });
}

/** Its fields, without those that say nothing. */
export function fieldsOfError(error: CallError): Fields {
  const said = {
    retryable: error.retryable,
    retry_after_ms: Math.round(1000 * (error.retryAfter ?? 0)),
    domain: error.domain,
  };
  return { code: error.code, message: error.text, ...filled(said) };
}

export function filled(fields: Fields): Fields {
  const isSaid = (value: any) =>
    Boolean(value) && (typeof value !== "object" || Object.keys(value).length > 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isSaid(value)));
}

/** The envelope as this side makes it. */
export function write(fields: Fields): Uint8Array {
  const requestId = fields.request_id;
  const payload = unhex(fields.payload ?? "");
  if (fields.direction === "RESPONSE") {
    return fields.error ? encodeError(requestId, errorOf(fields.error)) : encodeReply(requestId, payload);
  }
  if (fields.direction === "CANCEL") {
    return encodeCancel(requestId);
  }
  return encodeRequest({
    requestId,
    routeKey: fields.route_key,
    payload,
    timeout: fields.timeout_ms ? fields.timeout_ms / 1000 : null,
    isTell: fields.direction === "TELL",
    metadata: fields.metadata ?? {},
    contract: BigInt(`0x${fields.contract ?? "0"}`),
    traceparent: fields.traceparent ?? "",
    tracestate: fields.tracestate ?? "",
    callChain: fields.call_chain ?? [],
    ...(fields.channel_id && {
      stream: {
        channelId: fields.channel_id,
        credit: fields.credit_messages ?? 0,
        creditBytes: fields.credit_bytes ?? 0,
      },
    }),
    ...(fields.call_number && {
      durable: {
        callNumber: BigInt(fields.call_number),
        lowWater: BigInt(fields.low_water),
        storeId: BigInt(`0x${fields.store_id}`),
      },
    }),
  });
}

/** The fields that are set. */
export function fieldsOf(envelope: Envelope): Fields {
  return filled({
    request_id: envelope.requestId,
    direction: envelope.direction === Direction.REQUEST ? "" : Direction[envelope.direction],
    route_key: envelope.routeKey,
    payload: hex(envelope.payload),
    metadata: { ...envelope.metadata },
    timeout_ms: envelope.timeoutMs,
    traceparent: envelope.traceparent,
    tracestate: envelope.tracestate,
    channel_id: envelope.stream?.channelId,
    credit_messages: envelope.stream?.creditMessages,
    credit_bytes: Number(envelope.stream?.creditBytes ?? 0n),
    call_number: Number(envelope.callNumber),
    low_water: Number(envelope.lowWater),
    store_id: hex64(envelope.storeId),
    call_chain: [...envelope.callChain],
    contract: hex64(envelope.contract),
    error: envelope.error && fieldsOfError(readError(envelope.error)),
  });
}

function hex64(number: bigint): string {
  return number === 0n ? "" : number.toString(16).padStart(16, "0");
}
