// What travels on lanes, between bytes and values that hold their bounds (`actr/envelope.proto`).

import { type CallError, LimitError, RemoteProtocolError } from "../../errors";
import { characters } from "../bytes";
import { type Init, read, write } from "../protobuf";
import * as bounds from "./bounds";
import { writeError } from "./call-errors";
import { RPC_ENVELOPE, type RpcEnvelope } from "./tables";

/** What an envelope is. */
export enum Direction {
  REQUEST = 0,
  RESPONSE = 1,
  TELL = 2,
  CANCEL = 3,
}

/** One decoded `RpcEnvelope`; its bounds hold. */
export type Envelope = RpcEnvelope;

/** Seconds; longer deadlines are cut to it. */
export const MAX_TIMEOUT = 24 * 3600;

/**
 * Reads one `RpcEnvelope`. Throws `RemoteProtocolError` if it is not one, or breaks a bound of
 * `bounds`.
 */
export function decodeEnvelope(data: Uint8Array): Envelope {
  bounds.check(data, bounds.ENVELOPE);
  let envelope: RpcEnvelope;
  try {
    envelope = read(RPC_ENVELOPE, data);
  } catch (cause) {
    throw new RemoteProtocolError(`undecodable envelope of ${data.length} bytes`, { cause });
  }
  const { requestId, routeKey, direction, callNumber, lowWater } = envelope;
  if (!bounds.isId(requestId)) {
    throw new RemoteProtocolError(`request id of ${characters(requestId)} characters`);
  }
  if (characters(routeKey) > bounds.MAX_ROUTE_CHARS) {
    throw new RemoteProtocolError(`route key of ${characters(routeKey)} characters`);
  }
  if (!(direction in Direction)) {
    throw new RemoteProtocolError(`direction ${direction}`);
  }
  try {
    bounds.checkMetadata(envelope.metadata);
    checkChain(envelope.callChain);
    if (envelope.traceparent !== "") {
      checkTrace(envelope.traceparent, envelope.tracestate);
    }
  } catch (cause) {
    throw new RemoteProtocolError((cause as LimitError).message, { cause });
  }
  if (callNumber !== 0n && !(lowWater <= callNumber && callNumber <= bounds.MAX_CALL_NUMBER)) {
    throw new RemoteProtocolError(`call number ${callNumber}, smallest open one ${lowWater}`);
  }
  return envelope;
}

/** Seconds the caller still waited when it sent this; null: no deadline. */
export function timeoutOf(envelope: Envelope): number | null {
  return envelope.timeoutMs > 0 ? Math.min(envelope.timeoutMs / 1000, MAX_TIMEOUT) : null;
}

function checkChain(chain: readonly string[]): void {
  if (chain.length > bounds.MAX_CALL_CHAIN) {
    throw new LimitError("calls in a chain", bounds.MAX_CALL_CHAIN, chain.length);
  }
  for (const requestId of chain) {
    bounds.checkChars("request id", requestId, bounds.MAX_ID_CHARS);
  }
}

function checkTrace(traceparent: string, tracestate: string): void {
  bounds.checkChars("traceparent", traceparent, bounds.MAX_TRACEPARENT_CHARS);
  bounds.checkChars("tracestate", tracestate, bounds.MAX_TRACESTATE_CHARS);
}

/** What a request or a tell says. */
export interface Request {
  readonly requestId: string;
  readonly routeKey: string;
  readonly payload: Uint8Array;
  /** Seconds; null: no deadline. */
  readonly timeout?: number | null;
  readonly isTell?: boolean;
  readonly metadata?: bounds.Metadata;
  /** The number of the method's contract; 0: not to be compared. */
  readonly contract?: bigint;
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** Set on the request that opens a stream. */
  readonly stream?: { readonly channelId: string; readonly credit: number; readonly creditBytes: number };
  /** Of a durable call. */
  readonly durable?: {
    readonly callNumber: bigint;
    readonly lowWater: bigint;
    readonly storeId: bigint;
  };
  readonly callChain?: readonly string[];
}

/**
 * Writes a request or a tell. Throws `LimitError` if the far side would not take it: an id, the route
 * key, the metadata, the chain of calls or the trace context is over its bound; and
 * `LocalProtocolError` if the metadata are no texts.
 */
export function encodeRequest(request: Request): Uint8Array {
  const { requestId, routeKey, payload, timeout = null, metadata = {}, stream } = request;
  const { callChain = [], traceparent = "", tracestate = "", durable } = request;
  bounds.checkChars("request id", requestId, bounds.MAX_ID_CHARS);
  bounds.checkChars("route key", routeKey, bounds.MAX_ROUTE_CHARS);
  bounds.checkTexts(metadata);
  bounds.checkMetadata(metadata);
  checkTrace(traceparent, tracestate);
  checkChain(callChain);
  return write(RPC_ENVELOPE, {
    requestId,
    routeKey,
    payload,
    direction: request.isTell ? Direction.TELL : Direction.REQUEST,
    // At least one, so that a short rest of a deadline does not become "none".
    timeoutMs: timeout === null ? 0 : Math.max(1, Math.floor(Math.min(timeout, MAX_TIMEOUT) * 1000)),
    contract: request.contract,
    metadata,
    callChain,
    stream: stream && {
      channelId: stream.channelId,
      creditMessages: stream.credit,
      creditBytes: BigInt(stream.creditBytes),
    },
    ...(traceparent !== "" && { traceparent, tracestate }),
    ...durable,
  });
}

/** A request as it was written, with another number of its contract. */
export function withContract(request: Uint8Array, contract: bigint): Uint8Array {
  return write(RPC_ENVELOPE, { ...read(RPC_ENVELOPE, request), contract });
}

/** Writes a successful response. */
export function encodeReply(requestId: string, payload: Uint8Array): Uint8Array {
  return encode(requestId, Direction.RESPONSE, { payload });
}

/** Writes a response that is an error. */
export function encodeError(requestId: string, error: CallError): Uint8Array {
  return encode(requestId, Direction.RESPONSE, { error: writeError(error) });
}

/** Writes word that nobody waits for this request any more. */
export function encodeCancel(requestId: string): Uint8Array {
  return encode(requestId, Direction.CANCEL, {});
}

function encode(
  requestId: string,
  direction: Direction,
  answer: Pick<Init<RpcEnvelope>, "payload" | "error">,
): Uint8Array {
  return write(RPC_ENVELOPE, { requestId, direction, ...answer });
}
