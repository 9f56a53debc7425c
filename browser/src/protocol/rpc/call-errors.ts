// Errors on their way out: whatever a handler throws, what is sent is something that can be.
//
// A `CallError` is made by users, with fields of their choice; an error that did not encode would
// take the place of the one that the caller ought to hear.

import { CallError, Code } from "../../errors";
import { read, write } from "../protobuf";
import { ANY, type RpcError } from "./tables";

export const MAX_ERROR_CHARS = 4096;
export const MAX_DOMAIN_CHARS = 256;
export const MAX_DETAILS_BYTES = 64 * 1024;
/** Seconds; who says more means "not today". */
const MAX_RETRY_AFTER = 24 * 3600;
/** The detail that says that nothing of a stream has run. */
const NOT_STARTED = "type.googleapis.com/actr.NotStarted";

/** Writes an error as its message; what cannot be carried is left out. Never throws. */
export function writeError(error: CallError): RpcError {
  return {
    code: error.code in Code ? error.code : Code.UNKNOWN,
    message: cut(error.text, MAX_ERROR_CHARS),
    retryable: error.retryable === true,
    retryAfterMs: milliseconds(error.retryAfter),
    domain: cut(error.domain, MAX_DOMAIN_CHARS),
    details: packed(error.details),
  };
}

/** Gives back the error that the far side sent; an unknown code becomes UNKNOWN. */
export function readError(message: RpcError): CallError {
  const code = message.code in Code ? message.code : Code.UNKNOWN;
  return new CallError(code, message.message, {
    retryable: message.retryable,
    retryAfter: message.retryAfterMs > 0 ? message.retryAfterMs / 1000 : null,
    domain: message.domain,
    details: message.details,
  });
}

/** Why a stream is not begun here any more; it says that nothing of it has run. */
export function closing(): CallError {
  return new CallError(Code.UNAVAILABLE, "the actor is closing", {
    retryable: true,
    details: [write(ANY, { typeUrl: NOT_STARTED })],
  });
}

/** Whether the callee says that nothing of the call has run, for it closes. */
export function isNotStarted(error: CallError): boolean {
  const [detail] = packed(error.details);
  return (
    error.code === Code.UNAVAILABLE &&
    error.domain === "" &&
    error.details.length === 1 &&
    detail !== undefined &&
    read(ANY, detail).typeUrl.endsWith("/actr.NotStarted")
  );
}

/** Why a call is not taken that would wait for a handler that waits for it. */
export function callCycle(routeKey: string): CallError {
  return new CallError(
    Code.FAILED_PRECONDITION,
    `call cycle: a handler here waits for this call of ${routeKey}; answer it first`,
  );
}

/** Why a call is not taken whose method has no handler here. */
export function noMethod(routeKey: string): CallError {
  return new CallError(
    Code.UNIMPLEMENTED,
    `no method '${routeKey}' here; compare the .proto files of both sides`,
  );
}

/** Why a call is not taken that needs claims of a certificate, which nobody reads here. */
export function noCertificate(routeKey: string): CallError {
  return new CallError(
    Code.PERMISSION_DENIED,
    `${routeKey} requires claims of a certificate, and this page reads none: serve it elsewhere`,
  );
}

/** Why a stream is not called, and what is no stream not opened. */
export function wrongKind(routeKey: string, isUnary: boolean): CallError {
  const [kind, advice] = isUnary ? ["unary", "call it"] : ["a stream", "open it as a stream"];
  return new CallError(Code.INVALID_ARGUMENT, `${routeKey} is ${kind}: ${advice}`);
}

/** Why a message is not taken that cannot be read as the method's. */
export function noRequest(routeKey: string, name: string): CallError {
  return new CallError(
    Code.INVALID_ARGUMENT,
    `${routeKey}: the request is no ${name}; compare the .proto files of both sides`,
  );
}

/**
 * What the caller is told of a failure that nobody meant: its class, never its inside, and the id by
 * which the callee's log has the rest.
 */
export function internal(routeKey: string, failure: unknown, requestId: string): CallError {
  const name = failure instanceof Error ? failure.name : typeof failure;
  return new CallError(
    Code.INTERNAL,
    `${routeKey} failed with ${name}; its log has it as request ${requestId}`,
    {},
    { cause: failure },
  );
}

/** The first characters of a text, with each half of a surrogate pair written out. */
function cut(value: unknown, most: number): string {
  const text = typeof value === "string" ? value : value == null ? "" : `<${typeof value}>`;
  const first = (all: string) => (all.length > most ? [...all].slice(0, most).join("") : all);
  const escape = (half: string) => `\\u${half.charCodeAt(0).toString(16)}`;
  return first(first(text).replace(/\p{Surrogate}/gu, escape));
}

function milliseconds(seconds: number | null): number {
  const isSaid = typeof seconds === "number" && seconds >= 0 && seconds < Infinity;
  return isSaid ? Math.floor(Math.min(seconds, MAX_RETRY_AFTER) * 1000) : 0;
}

function packed(details: readonly Uint8Array[]): Uint8Array[] {
  const taken: Uint8Array[] = [];
  let left = MAX_DETAILS_BYTES;
  for (const detail of Array.isArray(details) ? details : []) {
    if (detail instanceof Uint8Array && detail.length <= left) {
      try {
        read(ANY, detail);
        taken.push(detail);
        left -= detail.length;
      } catch {
        // It is no detail: what can be read is sent all the same.
      }
    }
  }
  return taken;
}
