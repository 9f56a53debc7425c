// One call of a method that is known by its descriptors alone, from its beginning to its end.

import { type Message, type Registry, toBinary } from "@bufbuild/protobuf";
import { type Caller, type CallOptions, ClosedError, type Method, RemoteProtocolError } from "actr";

import { undecoded } from "../model/weight";
import type { Offered } from "./contract";
import { type Shown, shownBytes, type ShownError, shownError } from "./shown";

/** Replies that are kept; older ones are counted. */
export const MAX_SHOWN = 100;
/** Letters of all that are kept. */
export const MAX_SHOWN_LETTERS = 256 * 1024;
/** Items that wait for the far side to take them. */
export const MAX_WAITING = 64;

export type RunState = "running" | "done" | "failed" | "cancelled";

export interface Reply extends Shown {
  /** The first is 1. */
  readonly number: number;
  /** Seconds since the call began. */
  readonly after: number;
}

export interface RunOptions {
  /** Seconds for all of it; undefined: the package's own for a call, none for a stream. */
  readonly timeout?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly registry: Registry;
  /** Something has changed. */
  readonly changed?: () => void;
  /** Seconds; of the page where nothing is said. */
  readonly now?: () => number;
}

/** Whether items can be sent one after the other. */
export function isStream(kind: Method["kind"]): boolean {
  return kind === "client_stream" || kind === "bidi_stream";
}

export class Run {
  state: RunState = "running";
  /** The newest, oldest first. */
  readonly replies: Reply[] = [];
  /** How many have come, also those that are not kept. */
  received = 0;
  receivedBytes = 0;
  /** Items that the far side could take. */
  sent = 0;
  error: ShownError | undefined;
  /** Whether this side sends no more. */
  isEnded: boolean;
  private letters = 0;
  private readonly outbox: Outbox;
  private readonly cancelling = new AbortController();
  private readonly startedAt: number;
  private endedAt: number | undefined;
  /** Settles when the call is over; never rejects. */
  readonly over: Promise<void>;

  /** @param request what is sent first; of a method that takes a stream it may be left out */
  constructor(
    caller: Caller,
    readonly method: Offered,
    private readonly options: RunOptions,
    request?: Message,
  ) {
    this.startedAt = this.now();
    this.isEnded = !isStream(method.kind);
    this.outbox = new Outbox(() => {
      this.sent += 1;
      this.changed();
    });
    if (isStream(method.kind) && request !== undefined) {
      this.send(request);
    }
    this.over = this.run(caller, request).then(
      () => this.end("done"),
      (error: unknown) => this.fail(error),
    );
  }

  /** Seconds since it began, or that it took. */
  get seconds(): number {
    return (this.endedAt ?? this.now()) - this.startedAt;
  }

  /** Replies that came and are not kept. */
  get leftOut(): number {
    return this.received - this.replies.length;
  }

  /** Items that wait for the far side. */
  get waiting(): number {
    return this.outbox.waiting;
  }

  /** Whether another item can be sent now. */
  get maySend(): boolean {
    return this.state === "running" && !this.isEnded && this.waiting < MAX_WAITING;
  }

  /** Sends an item of a stream; false: not now, or not any more. */
  send(item: Message): boolean {
    if (!this.maySend) {
      return false;
    }
    this.outbox.put(toBinary(this.method.request, item));
    this.changed();
    return true;
  }

  /** Ends the stream of items, behind those that wait. */
  endItems(): void {
    this.isEnded = true;
    this.outbox.end();
    this.changed();
  }

  /** Ends all of it, here and there. */
  cancel(): void {
    this.cancelling.abort(new ClosedError("cancelled"));
  }

  private async run(caller: Caller, request: Message | undefined): Promise<void> {
    const { method } = this;
    const row = rowOf(method);
    const options: CallOptions = {
      signal: this.cancelling.signal,
      ...(this.options.timeout !== undefined && { timeout: this.options.timeout }),
      ...(this.options.metadata && { metadata: this.options.metadata }),
    };
    const first = () => toBinary(method.request, request!);
    switch (method.kind) {
      case "unary":
        return this.take(await caller.unary(row as Row<"unary">, first(), options));
      case "client_stream":
        return this.take(await caller.clientStream(row as Row<"client_stream">, this.outbox, options));
      case "server_stream":
        return this.takeAll(caller.serverStream(row as Row<"server_stream">, first(), options));
      case "bidi_stream":
        return this.takeAll(caller.bidiStream(row as Row<"bidi_stream">, this.outbox, options));
    }
  }

  private async takeAll(replies: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const reply of replies) {
      this.take(reply);
    }
  }

  private take(data: Uint8Array): void {
    const { reply } = this.method;
    const shown = shownBytes(reply, data, this.options.registry);
    this.received += 1;
    this.receivedBytes += data.length;
    this.replies.push({ ...shown, number: this.received, after: this.now() - this.startedAt });
    this.letters += shown.text.length;
    while (this.replies.length > MAX_SHOWN || (this.letters > MAX_SHOWN_LETTERS && this.replies.length > 1)) {
      this.letters -= this.replies.shift()!.text.length;
    }
    this.changed();
    if (shown.isWrong) {
      // Shown, and the end of the call all the same: the contract is not what it was.
      throw new RemoteProtocolError(`a reply that is no ${reply.typeName}: ask for the contract again`);
    }
  }

  private fail(error: unknown): void {
    if (this.cancelling.signal.aborted) {
      this.end("cancelled");
      return;
    }
    this.error = shownError(error, this.options.registry);
    this.end("failed");
  }

  private end(state: RunState): void {
    this.state = state;
    this.endedAt = this.now();
    this.outbox.end();
    this.changed();
  }

  private changed(): void {
    this.options.changed?.();
  }

  private now(): number {
    return this.options.now?.() ?? performance.now() / 1000;
  }
}

type Row<Kind extends Method["kind"]> = Method<Uint8Array, Uint8Array, Kind, Uint8Array, Uint8Array>;

/** A row of a static table, made for one call, of bytes as they come, for only what is shown is taken apart: it carries no number, for the callee told it just now. */
function rowOf({ routeKey, kind, payloadType, request, reply }: Offered): Row<Method["kind"]> {
  return { routeKey, kind, payloadType, request: undecoded(request), reply: undecoded(reply) };
}

/** Items between a hand that clicks and a far side that takes them when it can. */
class Outbox implements AsyncIterable<Uint8Array> {
  private readonly items: Uint8Array[] = [];
  private isEnded = false;
  private wake: (() => void) | undefined;

  /** @param taken told of each item that leaves */
  constructor(private readonly taken: () => void) {}

  get waiting(): number {
    return this.items.length;
  }

  put(item: Uint8Array): void {
    this.items.push(item);
    this.wake?.();
  }

  end(): void {
    this.isEnded = true;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const item = this.items.shift();
      if (item !== undefined) {
        this.taken();
        yield item;
      } else if (this.isEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    }
  }
}
