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
export interface Codec<T, Init = T> {
  /** Of the type, for errors. */
  readonly name: string;
  /** Throws an error if `data` is none. */
  read(data: Uint8Array): T;
  /** A message, or what makes one. */
  write(message: Init): Uint8Array;
}

/** One row of a service's static table. */
export interface Method<
  Req = any,
  Res = any,
  Kind extends MethodKind = MethodKind,
  ReqInit = Req,
  ResInit = Res,
> {
  /** `package.Service.Method`. */
  readonly routeKey: string;
  readonly kind: Kind;
  /** Of the items for streaming methods; their opening always is RPC_RELIABLE. */
  readonly payloadType: ByteLane;
  readonly request: Codec<Req, ReqInit>;
  readonly reply: Codec<Res, ResInit>;
  /** The number of its contract, which travels with each call; none: nothing is compared. */
  readonly contract?: bigint;
  /** The canonical form of its service (docs/codegen.md), where `contract` is given. */
  readonly form?: string;
  /** Seconds that a handler may run. */
  readonly handlerTimeout?: number;
  /** Claims of the caller's certificate; a page reads none, so it refuses such calls. */
  readonly requires?: readonly string[];
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

export function route<Req, Res, Kind extends MethodKind, ReqInit, ResInit>(
  method: Method<Req, Res, Kind, ReqInit, ResInit>,
  handle: Handlers<Req, ResInit>[Kind],
): Route {
  return { method, handle };
}

/** One destination, as generated clients call it. */
export interface Caller {
  unary<Res, Init>(
    method: Method<any, Res, "unary", Init, any>,
    request: Init,
    options?: CallOptions,
  ): Promise<Res>;
  serverStream<Res, Init>(
    method: Method<any, Res, "server_stream", Init, any>,
    request: Init,
    options?: CallOptions,
  ): AsyncGenerator<Res, void>;
  clientStream<Res, Init>(
    method: Method<any, Res, "client_stream", Init, any>,
    requests: AsyncIterable<Init>,
    options?: CallOptions,
  ): Promise<Res>;
  bidiStream<Res, Init>(
    method: Method<any, Res, "bidi_stream", Init, any>,
    requests: AsyncIterable<Init>,
    options?: CallOptions,
  ): AsyncGenerator<Res, void>;
  tell<Init>(
    method: Method<any, any, "unary", Init, any>,
    request: Init,
    options?: CallOptions,
  ): Promise<void>;
}

/** Base of generated clients. */
export abstract class TypedClient {
  constructor(protected readonly caller: Caller) {}

  /** Sends a request that has no reply; resolves when it is accepted for sending. */
  tell<Init>(
    method: Method<any, any, "unary", Init, any>,
    request: Init,
    options: CallOptions = {},
  ): Promise<void> {
    return this.caller.tell(method, request, options);
  }
}
