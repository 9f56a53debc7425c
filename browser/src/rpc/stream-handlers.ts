// Streams that one remote has opened: each opening waits for its turn, its body runs beside others.

import { CallError, Code, type LimitError } from "../errors";
import { PayloadType, type StreamLane } from "../protocol/payload";
import { isId } from "../protocol/rpc/bounds";
import { callCycle, wrongKind } from "../protocol/rpc/call-errors";
import { encodeError, encodeReply, type Envelope } from "../protocol/rpc/envelopes";
import { type Chunk, type Credit, encodeEnd } from "../protocol/streams/chunks";
import { repliesStream, requestsStream, type Route } from "../service";
import type { Link } from "../transport/link";
import type { StreamReader } from "../transport/stream-reader";
import { say, type StreamWriter } from "../transport/stream-writer";
import type { Streams } from "../transport/streams";
import { readRequest, readRequests } from "./messages";
import { Running } from "./running";
import { type Actor, answer } from "./server";

/** Openings that wait and bodies that run, together. */
const MAX_OPENINGS = 8 * 1024;
/** Seconds after which one that found no room may come again. */
const RETRY_AFTER = 1;

/** One stream that the remote has opened, from then until its body has ended. */
interface Opening {
  readonly route: Route;
  readonly envelope: Envelope;
  readonly channelId: string;
  readonly running: Running;
  credit: Credit;
  /** Takes back its turn, while it waits; null: it runs. */
  withdraw: (() => void) | null;
}

export class StreamHandlers {
  /** Those that wait and those that run, by request id. */
  private readonly openings = new Map<string, Opening>();
  private readonly channels = new Map<string, Opening>();

  constructor(
    private readonly link: Link,
    private readonly actor: Actor,
    private readonly streams: Streams,
  ) {}

  /** Queues the opening of a stream for its turn, or refuses it. */
  open(route: Route, envelope: Envelope): void {
    const { channelId, creditMessages, creditBytes } = envelope.stream!;
    const known = this.openings.get(envelope.requestId);
    if (known?.channelId === channelId) {
      return; // it has come before
    }
    const opening: Opening = {
      route,
      envelope,
      channelId,
      running: new Running(this.link, envelope, route.method),
      credit: { items: creditMessages, size: Number(creditBytes) },
      withdraw: null,
    };
    const error = this.whyNot(opening);
    if (error !== null) {
      opening.running.end();
      this.refuse(opening, error);
      return;
    }
    this.openings.set(envelope.requestId, opening);
    this.channels.set(channelId, opening);
    opening.withdraw = this.actor.turns.submit(PayloadType.RPC_RELIABLE, async () => this.begin(opening));
  }

  private whyNot({ route, envelope, channelId }: Opening): CallError | null {
    const { routeKey } = envelope;
    if (route.method.kind === "unary") {
      return wrongKind(routeKey, true);
    }
    if (!isId(channelId)) {
      return new CallError(Code.INVALID_ARGUMENT, "the name of a channel has 1 to 64 characters");
    }
    if (this.channels.has(channelId) || this.openings.has(envelope.requestId)) {
      return new CallError(Code.ALREADY_EXISTS, `channel '${channelId}' is open`);
    }
    if (this.streams.cameEarly(channelId)) {
      return early(routeKey);
    }
    if (envelope.callChain.some((id) => this.actor.serving.has(id))) {
      return callCycle(routeKey);
    }
    return this.openings.size >= MAX_OPENINGS ? full(`${MAX_OPENINGS} streams are open here`) : null;
  }

  /** Hears what comes on a channel whose opening waits; false if none does. */
  hearEarly(chunk: Chunk): boolean {
    const opening = this.channels.get(chunk.channelId);
    if (opening?.withdraw == null) {
      return false;
    }
    if (chunk.kind === "credit") {
      opening.credit = both(opening.credit, chunk.credit);
      return true;
    }
    this.drop(opening, new CallError(Code.CANCELLED, "the caller left"));
    if (chunk.kind === "item" || chunk.kind === "end") {
      this.refuse(opening, early(opening.envelope.routeKey));
    }
    return true;
  }

  /** Ends one stream, wherever it is: its caller waits no more. */
  cancel(requestId: string): void {
    const opening = this.openings.get(requestId);
    if (opening !== undefined) {
      this.drop(opening, new CallError(Code.CANCELLED, "the caller left"));
    }
  }

  /** The link is gone, or another process is at its end. */
  fail(error: Error): void {
    for (const opening of [...this.openings.values()]) {
      this.drop(opening, error);
    }
  }

  private drop(opening: Opening, error: Error): void {
    opening.running.giveUp(error);
    if (opening.withdraw !== null) {
      opening.withdraw();
      this.forget(opening);
    }
  }

  private forget({ envelope, channelId, running }: Opening): void {
    running.end();
    this.openings.delete(envelope.requestId);
    this.channels.delete(channelId);
  }

  // Its turn

  private begin(opening: Opening): void {
    const { route, channelId, running, credit } = opening;
    const { kind, payloadType } = route.method;
    const lane = payloadType as StreamLane;
    opening.withdraw = null;
    let reader: StreamReader | null = null;
    let writer: StreamWriter | null = null;
    try {
      if (running.signal.aborted) {
        throw running.reason();
      }
      running.begin();
      reader = requestsStream(kind) ? this.streams.openReader(channelId, lane) : null;
      writer = repliesStream(kind) ? this.streams.openWriter(channelId, lane, credit) : null;
    } catch (error) {
      reader?.close();
      this.forget(opening);
      this.refuse(opening, error instanceof CallError ? error : full((error as LimitError).message));
      return;
    }
    if (writer !== null) {
      writer.onStop = (error) => running.giveUp(error);
    }
    reader?.grantFirst();
    void this.body(opening, reader, writer);
  }

  private async body(
    opening: Opening,
    reader: StreamReader | null,
    writer: StreamWriter | null,
  ): Promise<void> {
    const { route, envelope, running } = opening;
    const { method } = route;
    const onAbort = () => this.told(opening, reader, writer, running.reason());
    running.signal.addEventListener("abort", onAbort);
    try {
      const requests =
        reader === null ? readRequest(method, envelope.payload) : readRequests(method, reader);
      const result = route.handle(requests, running.context);
      if (writer === null) {
        const reply = encodeReply(envelope.requestId, method.reply.write(await result));
        if (!running.signal.aborted) {
          answer(this.link, PayloadType.RPC_RELIABLE, reply);
        }
      } else {
        for await (const item of result) {
          await writer.send(method.reply.write(item));
        }
        writer.end();
      }
    } catch (error) {
      const told = running.errorOf(error, this.actor.failed);
      if (!running.signal.aborted) {
        this.told(opening, reader, writer, told);
      }
    } finally {
      running.signal.removeEventListener("abort", onAbort);
      reader?.close();
      this.forget(opening);
    }
  }

  /** The stream has ended with an error: its opener hears of it, unless it has left. */
  private told(
    { envelope, running }: Opening,
    reader: StreamReader | null,
    writer: StreamWriter | null,
    error: CallError,
  ): void {
    reader?.fail(error);
    if (writer !== null) {
      writer.end(error);
    } else if (!running.isGivenUp) {
      answer(this.link, PayloadType.RPC_RELIABLE, encodeError(envelope.requestId, error));
    }
  }

  /** Says why a stream is not opened, where its opener listens. */
  private refuse({ route, envelope, channelId }: Opening, error: CallError): void {
    const isOwn = isId(channelId) && !this.channels.has(channelId);
    if (repliesStream(route.method.kind) && isOwn) {
      say(this.link, encodeEnd(channelId, 0, error));
    } else {
      answer(this.link, PayloadType.RPC_RELIABLE, encodeError(envelope.requestId, error));
    }
  }
}

/** Two grants as one; a grant of items that names no bytes lifts the limit on them. */
function both(one: Credit, other: Credit): Credit {
  const isUnlimited = [one, other].some((credit) => credit.items > 0 && credit.size === 0);
  return { items: one.items + other.items, size: isUnlimited ? 0 : one.size + other.size };
}

function full(text: string): CallError {
  return new CallError(Code.RESOURCE_EXHAUSTED, text, { retryable: true, retryAfter: RETRY_AFTER });
}

function early(routeKey: string): CallError {
  return new CallError(
    Code.FAILED_PRECONDITION,
    `${routeKey}: items came before any were granted; the first grant says that the stream is open`,
  );
}
