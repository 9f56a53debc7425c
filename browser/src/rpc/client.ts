// The gate to a remote actor: calls, tells and streams leave here.
//
// One deadline covers connecting, sending, retries and waiting. A retry carries the same request id,
// so that the callee knows it. Aborting a call cancels its handler.

import { BrokenError, CallError, ClosedError, Code, DeadlineError, UnreachableError } from "../errors";
import { PayloadType, type RpcLane, type StreamLane, TRIES } from "../protocol/payload";
import { readError } from "../protocol/rpc/call-errors";
import { encodeCancel, encodeRequest, type Envelope, type Request } from "../protocol/rpc/envelopes";
import { FIRST } from "../protocol/streams/halves";
import { doubled } from "../protocol/wire/backoff";
import { type Caller, type CallOptions, type Method, type MethodKind, repliesStream, requestsStream } from "../service";
import type { Link } from "../transport/link";
import type { StreamReader } from "../transport/stream-reader";
import type { StreamWriter } from "../transport/stream-writer";
import type { Streams } from "../transport/streams";
import type { PendingCalls } from "./calls";
import type { Contracts } from "./contracts";
import { newRequestId, readReply } from "./messages";

/** Seconds that a call of one request may take where its caller says nothing. */
const DEFAULT_TIMEOUT = 30;
/** Seconds before the second try where the callee names none; doubled for each further one. */
const FIRST_RETRY_DELAY = 0.1;

/** What the call of a handler carries on of the call that it serves. */
export interface Scope {
  readonly callChain?: readonly string[];
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** Seconds that are left of it; null: no deadline. */
  readonly timeLeft?: () => number | null;
  readonly signal?: AbortSignal;
}

export class Client implements Caller {
  constructor(
    private readonly link: Link,
    private readonly calls: PendingCalls,
    private readonly streams: Streams,
    private readonly contracts: Contracts,
    private readonly scope: Scope = {},
  ) {}

  /**
   * Calls and waits for the reply. Rejects with `CallError` if the far side refused the call or its
   * handler failed, `DeadlineError` if no reply came in time, `UnreachableError` if no wire could be
   * made, `BrokenError` if the remote was lost meanwhile: it may have run.
   */
  async unary<Res, Init>(
    method: Method<any, Res, "unary", Init, any>,
    request: Init,
    options: CallOptions = {},
  ): Promise<Res> {
    const lane = method.payloadType as RpcLane;
    const requestId = newRequestId();
    const payload = method.request.write(request);
    const limit = this.limit(method, options, DEFAULT_TIMEOUT);
    try {
      for (let attempt = 1, refusals = 0; ; attempt++) {
        const message = this.encode(method, { requestId, payload }, options, limit);
        const reply = await this.exchange(lane, requestId, message, limit.signal);
        if (reply.error === undefined) {
          return readReply(method, reply.payload);
        }
        const error = readError(reply.error);
        if (await this.contracts.learn(method, error, refusals)) {
          refusals++;
          attempt--; // it was none: nothing has run
          continue;
        }
        const delay = error.retryAfter ?? doubled(FIRST_RETRY_DELAY, attempt, Infinity);
        if (!error.retryable || attempt >= TRIES[lane] || delay >= (limit.timeLeft() ?? Infinity)) {
          throw error;
        }
        await this.pause(delay, limit.signal);
      }
    } finally {
      limit.end();
    }
  }

  /** Sends and waits; where the caller leaves, its handler is told. */
  private async exchange(
    lane: RpcLane,
    requestId: string,
    message: Uint8Array,
    signal: AbortSignal,
  ): Promise<Envelope> {
    const reply = this.calls.wait(requestId, signal);
    reply.catch(() => {}); // who waits for room hears the same
    let isSent = false;
    try {
      await this.link.lane(lane).send(message, { signal });
      this.calls.sent(requestId, { lane, message });
      isSent = true;
      return await reply;
    } catch (error) {
      if (isSent && signal.aborted) {
        this.cancel(lane, requestId);
      }
      throw error;
    } finally {
      this.calls.leave(requestId);
    }
  }

  private cancel(lane: RpcLane, requestId: string): void {
    if (this.link.refusal() === null) {
      this.link.lane(lane).cancel(encodeCancel(requestId));
    }
  }

  private pause(seconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = this.link.time.after(seconds, resolve);
      const onAbort = () => {
        stop();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Sends a request that has no reply; resolves when it is accepted for sending. */
  async tell<Init>(
    method: Method<any, any, "unary", Init, any>,
    request: Init,
    options: CallOptions = {},
  ): Promise<void> {
    const payload = method.request.write(request);
    const { traceparent = "", tracestate = "" } = this.scope;
    const message = encodeRequest({
      requestId: newRequestId(),
      routeKey: method.routeKey,
      payload,
      isTell: true,
      metadata: options.metadata ?? {},
      traceparent,
      tracestate,
    });
    const limit = this.limit(method, options, DEFAULT_TIMEOUT);
    try {
      await this.link.lane(method.payloadType as RpcLane).send(message, { signal: limit.signal });
    } finally {
      limit.end();
    }
  }

  /** Opens a stream of replies; leaving the iteration early tells the far side to stop. */
  async *serverStream<Res, Init>(
    method: Method<any, Res, "server_stream", Init, any>,
    request: Init,
    options: CallOptions = {},
  ): AsyncGenerator<Res, void> {
    yield* this.replies(method, options, method.request.write(request));
  }

  /** Sends a stream of requests and waits for the one reply. */
  async clientStream<Res, Init>(
    method: Method<any, Res, "client_stream", Init, any>,
    requests: AsyncIterable<Init>,
    options: CallOptions = {},
  ): Promise<Res> {
    for (let refusals = 0; ; refusals++) {
      const stream = await this.open(method, options);
      try {
        const reply = await new Promise<Envelope>((resolve, reject) => {
          stream.reply!.then(resolve, reject);
          this.feed(method, requests, stream, reject);
        });
        stream.isAnswered = true;
        if (reply.error === undefined) {
          return readReply(method, reply.payload);
        }
        const error = readError(reply.error);
        if (stream.isFed || !(await this.contracts.learn(method, error, refusals))) {
          throw error;
        }
      } finally {
        stream.leave();
      }
    }
  }

  /** Opens a stream both ways; leaving the iteration early ends both halves. */
  bidiStream<Res, Init>(
    method: Method<any, Res, "bidi_stream", Init, any>,
    requests: AsyncIterable<Init>,
    options: CallOptions = {},
  ): AsyncGenerator<Res, void> {
    return this.replies(method, options, undefined, requests);
  }

  private async *replies<Res, Init>(
    method: Method<any, Res, MethodKind, Init, any>,
    options: CallOptions,
    payload?: Uint8Array,
    requests?: AsyncIterable<Init>,
  ): AsyncGenerator<Res, void> {
    let isTaken = false;
    for (let refusals = 0; ; refusals++) {
      const stream = await this.open(method, options, payload);
      try {
        if (requests !== undefined) {
          this.feed(method, requests, stream, (error) => stream.reader!.fail(error));
        }
        for await (const chunk of stream.reader!) {
          isTaken = true;
          yield readReply(method, chunk.data);
        }
        return;
      } catch (error) {
        const isRefusal = !isTaken && !stream.isFed && error instanceof CallError;
        if (!isRefusal || !(await this.contracts.learn(method, error, refusals))) {
          throw error;
        }
      } finally {
        stream.leave();
      }
    }
  }

  /**
   * Sends all requests and ends the stream. Nothing is taken of the caller's iterable before the far
   * side listens. An error of the iterable goes to `failed` and, as ABORTED, to the far side; a far
   * side that takes no more just ends it: its reply or the link says why.
   */
  private feed<Init>(
    method: Method<any, any, MethodKind, Init, any>,
    requests: AsyncIterable<Init>,
    stream: Opened,
    failed: (error: Error) => void,
  ): void {
    const writer = stream.writer!;
    const send = async () => {
      await writer.opened();
      stream.isFed = true;
      for await (const request of requests) {
        await writer.send(method.request.write(request));
      }
      writer.end();
    };
    send().catch((error) => {
      if (!(error instanceof BrokenError || error instanceof ClosedError)) {
        writer.end(new CallError(Code.ABORTED, "the caller's request stream failed"));
        failed(error);
      }
    });
  }

  private async open(
    method: Method,
    options: CallOptions,
    payload: Uint8Array = new Uint8Array(0),
  ): Promise<Opened> {
    const limit = this.limit(method, options, null);
    const channelId = newRequestId();
    const { streams, link } = this;
    const lane = method.payloadType as StreamLane;
    const opened = new Opened(limit, (isOver) => {
      this.calls.leave(channelId);
      if (!isOver) {
        this.cancel(PayloadType.RPC_RELIABLE, channelId);
      }
    });
    try {
      const credit = repliesStream(method.kind) ? FIRST : { items: 0, size: 0 };
      const stream = { channelId, credit: credit.items, creditBytes: credit.size };
      const message = this.encode(method, { requestId: channelId, payload, stream }, options, limit);
      if (repliesStream(method.kind)) {
        opened.reader = streams.openReader(channelId, lane);
        opened.reader.listen();
      } else {
        opened.reply = this.calls.wait(channelId, limit.signal);
        opened.reply.catch(() => {}); // who opens hears the same
      }
      if (requestsStream(method.kind)) {
        // Nothing is sent before the far side says that it listens: not even the end.
        opened.writer = streams.openWriter(channelId, lane, null);
      }
      await link.lane(PayloadType.RPC_RELIABLE).send(message, { signal: limit.signal });
      opened.isSent = true;
      this.calls.sent(channelId, "stream");
      opened.watch();
      return opened;
    } catch (error) {
      opened.leave();
      throw error;
    }
  }

  private encode(
    method: Method,
    request: Omit<Request, "routeKey">,
    options: CallOptions,
    limit: Limit,
  ): Uint8Array {
    const { routeKey } = method;
    const contract = this.contracts.number(method);
    const { callChain = [], traceparent = "", tracestate = "" } = this.scope;
    const { metadata = {} } = options;
    const timeout = limit.timeLeft();
    const common = { timeout, metadata, callChain, traceparent, tracestate };
    return encodeRequest({ ...request, routeKey, contract, ...common });
  }

  private limit(method: Method, options: CallOptions, otherwise: number | null): Limit {
    const left = this.scope.timeLeft?.() ?? null;
    const asked = options.timeout ?? otherwise;
    const timeout = left === null ? asked : Math.min(left, asked ?? left);
    const late = () => {
      const text = `no end of ${method.routeKey} of ${this.link.remote} in ${timeout} s`;
      return this.link.isReady
        ? new DeadlineError(text)
        : new UnreachableError(this.link.remote, `${text}: no wire to it works`);
    };
    return new Limit(this.link, timeout, late, [options.signal, this.scope.signal]);
  }
}

/** The time and the signals of one call, as one signal. */
class Limit {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly endsAt: number;
  private readonly stop: () => void = () => {};
  private readonly left: (() => void)[] = [];

  constructor(
    private readonly link: Link,
    timeout: number | null,
    late: () => Error,
    signals: readonly (AbortSignal | undefined)[],
  ) {
    const { controller } = this;
    this.signal = controller.signal;
    this.endsAt = timeout === null ? Infinity : link.now() + timeout;
    if (timeout !== null) {
      this.stop = link.time.after(timeout, () => controller.abort(late()));
    }
    for (const signal of signals) {
      if (signal?.aborted) {
        controller.abort(signal.reason);
      } else if (signal !== undefined) {
        const onAbort = () => controller.abort(signal.reason);
        signal.addEventListener("abort", onAbort);
        this.left.push(() => signal.removeEventListener("abort", onAbort));
      }
    }
  }

  timeLeft(): number | null {
    return this.endsAt === Infinity ? null : Math.max(0, this.endsAt - this.link.now());
  }

  end(): void {
    this.stop();
    this.left.forEach((leave) => leave());
  }
}

/** A stream that this side has opened; leaving it leaves nothing behind. */
class Opened {
  reader: StreamReader | null = null;
  writer: StreamWriter | null = null;
  /** The one reply, where replies do not stream. */
  reply: Promise<Envelope> | null = null;
  isSent = false;
  /** Something of the caller's requests is taken, or about to be: they are there once. */
  isFed = false;
  /** The one reply has come. */
  isAnswered = false;

  constructor(
    private readonly limit: Limit,
    private readonly left: (isOver: boolean) => void,
  ) {}

  /** Where the caller leaves or its time is over, who reads the replies hears of it. */
  watch(): void {
    const { signal } = this.limit;
    const onAbort = () => this.reader?.fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  }

  leave(): void {
    this.limit.end();
    const isOver = this.reader?.hasHeardEnd ?? this.isAnswered;
    this.reader?.close();
    // A clean end here would pass off half of a stream as the whole of it.
    this.writer?.end(new CallError(Code.CANCELLED, "the sender gave up"));
    this.writer?.leave();
    this.left(isOver || !this.isSent);
  }
}
