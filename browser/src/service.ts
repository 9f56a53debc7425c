// What generated code is written against: methods, handlers, options. Nothing here knows of wires.

import type { ByteLane } from "./protocol/payload";
import type { Metadata } from "./protocol/rpc/bounds";

/** gRPC's four kinds: which sides stream. */
export type MethodKind = "unary" | "server_stream" | "client_stream" | "bidi_stream";

export function requestsStream(kind: MethodKind): boolean {
  return kind === "client_stream" || kind === "bidi_stream";
}

export function repliesStream(kind: MethodKind): boolean {
  return kind === "server_stream" || kind === "bidi_stream";
}

/** The messages of one type as bytes: the library's that generated them is not part of this. */
export interface Codec<T> {
  /** Of the type, for errors. */
  readonly name: string;
  /** Throws an error if `data` is none. */
  read(data: Uint8Array): T;
  write(message: T): Uint8Array;
}

/** One row of a service's static table. */
export interface Method<Req = any, Res = any, Kind extends MethodKind = MethodKind> {
  /** `package.Service.Method`. */
  readonly routeKey: string;
  readonly kind: Kind;
  /** Of the items for streaming methods; their opening always is RPC_RELIABLE. */
  readonly payloadType: ByteLane;
  readonly request: Codec<Req>;
  readonly reply: Codec<Res>;
}

export interface CallOptions {
  /** Seconds over connecting, sending, retries and waiting. */
  readonly timeout?: number;
  readonly metadata?: Metadata;
  /** Aborting cancels the call here and its handler there. */
  readonly signal?: AbortSignal;
}

/** What a handler is told of the call that it serves. */
export interface Context {
  /** Who calls, in text form. */
  readonly caller: string;
  readonly requestId: string;
  readonly metadata: Metadata;
  readonly traceparent: string;
  readonly tracestate: string;
  /** Request ids of the handlers that wait for this one, oldest first, and its own. */
  readonly callChain: readonly string[];
  /** Seconds that are left; null: no deadline. */
  timeLeft(): number | null;
  /** Aborted when the caller leaves, the deadline passes, or the link is gone. */
  readonly signal: AbortSignal;
}

/** What serves a method of each kind. */
export interface Handlers<Req, Res> {
  unary(request: Req, context: Context): Promise<Res> | Res;
  server_stream(request: Req, context: Context): AsyncIterable<Res>;
  client_stream(requests: AsyncIterable<Req>, context: Context): Promise<Res>;
  bidi_stream(
    requests: AsyncIterable<Req>,
    context: Context,
  ): AsyncIterable<Res>;
}

/** A method with what serves it. */
export interface Route {
  readonly method: Method;
  // Of the kind that the method has, which `route` has seen to.
  readonly handle: (request: any, context: Context) => any;
}

export function route<Req, Res, Kind extends MethodKind>(
  method: Method<Req, Res, Kind>,
  handle: Handlers<Req, Res>[Kind],
): Route {
  return { method, handle };
}
