// What comes from one remote: requests and openings to the actor, replies to calls, chunks to streams.
//
// A request is acknowledged when it has been answered: what a page that is reloaded has not finished
// is sent again to its successor. So the sender's window is the bound of what waits here.

import { BrokenError, CallError, Code, LimitError, RemoteProtocolError } from "../errors";
import { type ByteLane, isRpc, type RpcLane, type StreamLane } from "../protocol/payload";
import { channelOf, isId, requestIdOf } from "../protocol/rpc/bounds";
import { callCycle, noCertificate, noMethod, wrongKind } from "../protocol/rpc/call-errors";
import { refusal, toldBy } from "../protocol/rpc/contracts";
import {
  decodeEnvelope,
  Direction,
  encodeError,
  encodeReply,
  type Envelope,
} from "../protocol/rpc/envelopes";
import { UNNUMBERED } from "../protocol/session/receiver";
import { decodeChunk, encodeEnd } from "../protocol/streams/chunks";
import type { Method, Route } from "../service";
import type { Link } from "../transport/link";
import { say } from "../transport/stream-writer";
import { Streams } from "../transport/streams";
import { PendingCalls } from "./calls";
import { Contracts } from "./contracts";
import { readRequest } from "./messages";
import { Remembered } from "./remembered";
import { Running } from "./running";
import { StreamHandlers } from "./stream-handlers";
import type { Turns } from "./turns";

/** What all remotes of an actor have in common. */
export interface Actor {
  /** By route key. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly turns: Turns;
  /** Request ids of the handlers that have the turn now. */
  readonly serving: Set<string>;
  /** Hears of failures that nobody meant. */
  readonly failed: (error: unknown, routeKey: string, requestId: string) => void;
}

export class Server {
  readonly calls = new PendingCalls();
  readonly streams: Streams;
  readonly contracts: Contracts;
  private readonly handlers: StreamHandlers;
  /** Requests that wait or run, by id. */
  private readonly running = new Map<string, Running>();
  private readonly remembered = new Remembered();

  constructor(
    private readonly link: Link,
    private readonly actor: Actor,
  ) {
    this.contracts = new Contracts(link.remote);
    this.streams = new Streams(link, (chunk) => this.handlers.hearEarly(chunk));
    this.handlers = new StreamHandlers(link, actor, this.streams);
  }

  /** Whether something here needs the link. */
  get isInUse(): boolean {
    return this.calls.isAny || this.streams.isAny || this.running.size > 0;
  }

  message(lane: ByteLane, message: Uint8Array, number: number): void {
    if (!isRpc(lane)) {
      this.chunk(lane, message);
    } else if (number === UNNUMBERED) {
      this.answered(message);
    } else {
      this.request(lane, message, number);
    }
  }

  private chunk(lane: StreamLane, message: Uint8Array): void {
    try {
      this.streams.receive(lane, decodeChunk(message));
    } catch (error) {
      const channel = channelOf(message);
      if (error instanceof RemoteProtocolError && channel !== null) {
        this.streams.reject(channel.channelId, channel.opening, error);
      } else if (!(error instanceof RemoteProtocolError)) {
        throw error;
      }
    }
  }

  /** Takes what came by a reply lane; nothing there is stored, so a request has no place. */
  private answered(message: Uint8Array): void {
    const envelope = decodeEnvelope(message);
    if (envelope.direction === Direction.RESPONSE) {
      this.calls.resolve(envelope);
    } else if (envelope.direction === Direction.CANCEL) {
      this.cancel(envelope.requestId);
    } else {
      throw new RemoteProtocolError("a request on a reply lane");
    }
  }

  private cancel(requestId: string): void {
    this.running.get(requestId)?.giveUp(new BrokenError("the caller left"));
    this.handlers.cancel(requestId);
  }

  private request(lane: RpcLane, message: Uint8Array, number: number): void {
    const { link } = this;
    let envelope: Envelope;
    try {
      envelope = decodeEnvelope(message);
    } catch (error) {
      const requestId = requestIdOf(message);
      if (requestId !== "") {
        this.answer(lane, encodeError(requestId, new CallError(Code.INVALID_ARGUMENT, String(error))));
      }
      link.acknowledge(lane, number);
      return;
    }
    if (envelope.direction === Direction.RESPONSE) {
      this.calls.resolve(envelope);
    } else if (envelope.direction === Direction.CANCEL) {
      this.cancel(envelope.requestId);
    } else {
      this.called(lane, envelope, number);
      return;
    }
    link.acknowledge(lane, number);
  }

  private called(lane: RpcLane, envelope: Envelope, number: number): void {
    const route = this.actor.routes.get(envelope.routeKey);
    const error = route === undefined ? noMethod(envelope.routeKey) : whyNot(route.method, envelope);
    if (route === undefined || error !== null) {
      this.refuse(lane, envelope, error!);
    } else if (envelope.stream !== undefined) {
      this.handlers.open(route, envelope);
    } else if (route.method.kind !== "unary") {
      this.refuse(lane, envelope, wrongKind(envelope.routeKey, false));
    } else if (envelope.callChain.some((id) => this.actor.serving.has(id))) {
      this.refuse(lane, envelope, callCycle(envelope.routeKey));
    } else {
      this.take(lane, envelope, route, number);
      return;
    }
    this.link.acknowledge(lane, number);
  }

  /** Runs a request in its turn, once: a repeated one gets the reply of the first. */
  private take(lane: RpcLane, envelope: Envelope, route: Route, number: number): void {
    const { requestId } = envelope;
    const reply = this.remembered.get(requestId);
    if (reply !== undefined || this.running.has(requestId)) {
      if (reply !== undefined) {
        this.answer(lane, reply);
      }
      this.link.acknowledge(lane, number);
      return;
    }
    const running = new Running(this.link, envelope, route.method);
    this.running.set(requestId, running);
    this.actor.turns.submit(lane, async () => {
      try {
        await this.run(lane, envelope, route, running, () => this.link.acknowledge(lane, number));
      } finally {
        this.running.delete(requestId);
        this.link.acknowledge(lane, number);
      }
    });
  }

  /** @param answered called before the reply goes out, which then takes the acknowledgement along */
  private async run(
    lane: RpcLane,
    envelope: Envelope,
    route: Route,
    running: Running,
    answered: () => void,
  ): Promise<void> {
    const { requestId } = envelope;
    const { method } = route;
    const finish = (result: Uint8Array | CallError | null) => {
      // A caller that has the reply must not send the request to this page's successor.
      answered();
      this.finish(lane, envelope, result);
    };
    this.actor.serving.add(requestId);
    // The caller hears at once that its time is over; the turn lasts until the handler returns.
    const onAbort = () => running.isGivenUp || finish(running.reason());
    running.signal.addEventListener("abort", onAbort);
    try {
      if (running.signal.aborted) {
        onAbort();
        return;
      }
      running.begin();
      const request = readRequest(method, envelope.payload);
      const reply = await route.handle(request, running.context);
      if (!running.signal.aborted) {
        finish(envelope.direction === Direction.TELL ? null : method.reply.write(reply));
      }
    } catch (error) {
      const told = running.errorOf(error, this.actor.failed);
      if (!running.signal.aborted) {
        finish(told);
      }
    } finally {
      running.end();
      this.actor.serving.delete(requestId);
    }
  }

  private finish(lane: RpcLane, envelope: Envelope, result: Uint8Array | CallError | null): void {
    if (result === null || envelope.direction === Direction.TELL) {
      return;
    }
    const { requestId } = envelope;
    const isError = result instanceof CallError;
    const reply = isError ? encodeError(requestId, result) : encodeReply(requestId, result);
    if (!isError || !result.retryable) {
      this.remembered.add(requestId, reply);
    }
    this.answer(lane, reply);
  }

  /** Says why a request is not taken, where its caller listens. */
  private refuse(lane: RpcLane, envelope: Envelope, error: CallError): void {
    const { stream, requestId, direction } = envelope;
    if (stream !== undefined && isId(stream.channelId)) {
      say(this.link, encodeEnd(stream.channelId, 0, error));
      if (stream.creditMessages > 0) {
        return;
      }
    }
    // A tell has no other answer than that its contract is another one.
    if (direction === Direction.REQUEST || toldBy(error) !== undefined) {
      this.answer(lane, encodeError(requestId, error));
    }
  }

  private answer(lane: RpcLane, reply: Uint8Array): void {
    answer(this.link, lane, reply);
  }

  /** The far process is a new one: its calls and streams are over here. */
  reset(): void {
    const error = new BrokenError(`${this.link.remote} has restarted`);
    this.contracts.forget();
    this.calls.renew(this.link, error);
    this.streams.fail(error);
    this.handlers.fail(error);
  }

  /** The link is gone: all that waits fails. */
  gone(error: Error): void {
    this.calls.fail(error);
    this.streams.fail(error);
    this.handlers.fail(error);
    for (const running of this.running.values()) {
      running.giveUp(error);
    }
  }
}

/** Why a call of a method that is served here is not taken, before it is looked at; null: it is. */
function whyNot(method: Method, { contract }: Envelope): CallError | null {
  return method.requires?.length ? noCertificate(method.routeKey) : refusal(method, contract);
}

/** Sends a reply, or RESOURCE_EXHAUSTED in place of one that the caller does not take. */
export function answer(link: Link, lane: RpcLane, reply: Uint8Array): void {
  if (link.refusal() !== null) {
    return; // nobody is there to hear
  }
  try {
    link.lane(lane).answer(reply);
  } catch (error) {
    if (!(error instanceof LimitError) || link.refusal() !== null) {
      return;
    }
    const text = `the reply has ${reply.length} bytes; this caller takes messages of ${error.limit}`;
    const { requestId } = decodeEnvelope(reply);
    link.lane(lane).answer(encodeError(requestId, new CallError(Code.RESOURCE_EXHAUSTED, text)));
  }
}
