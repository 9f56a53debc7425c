// One call that is served here: its time, its signal, its context, and what its caller is told.

import { CallError, Code } from "../errors";
import { internal } from "../protocol/rpc/call-errors";
import { toldBy } from "../protocol/rpc/contracts";
import { type Envelope, timeoutOf } from "../protocol/rpc/envelopes";
import type { Context, Method } from "../service";
import type { Link } from "../transport/link";

export class Running {
  /** The caller waits no more: nothing is answered. */
  isGivenUp = false;
  readonly context: Context;
  private readonly controller = new AbortController();
  private stop: () => void = () => {};
  private endsAt = Infinity;

  constructor(
    private readonly link: Link,
    private readonly envelope: Envelope,
    private readonly method: Method,
  ) {
    this.limit(timeoutOf(envelope));
    this.context = {
      caller: link.remote,
      requestId: envelope.requestId,
      metadata: envelope.metadata,
      traceparent: envelope.traceparent,
      tracestate: envelope.tracestate,
      callChain: [...envelope.callChain, envelope.requestId],
      timeLeft: () => (this.endsAt === Infinity ? null : Math.max(0, this.endsAt - link.now())),
      signal: this.controller.signal,
    };
  }

  /** Its turn has come: from now on the handler has its own time, as far as the caller's lasts. */
  begin(): void {
    this.limit(this.method.handlerTimeout);
  }

  private limit(seconds: number | null = null): void {
    const { link } = this;
    if (seconds !== null && link.now() + seconds < this.endsAt) {
      this.endsAt = link.now() + seconds;
      this.stop();
      this.stop = link.time.after(seconds, () => this.controller.abort(this.late()));
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  private late(): CallError {
    return new CallError(Code.DEADLINE_EXCEEDED, `${this.method.routeKey} took too long`);
  }

  /** Why the call has ended here, if it has. */
  reason(): CallError {
    const { reason } = this.signal;
    return reason instanceof CallError ? reason : new CallError(Code.CANCELLED, String(reason));
  }

  giveUp(error: Error): void {
    this.isGivenUp = true;
    this.controller.abort(error);
  }

  /** What the caller is told of an error of the handler: its own words only where they are meant. */
  errorOf(
    error: unknown,
    failed: (error: unknown, routeKey: string, requestId: string) => void,
  ): CallError {
    if (error instanceof CallError) {
      // A refusal is of a call that the handler made: its own caller would take it for one.
      return toldBy(error) === undefined ? error : new CallError(error.code, error.text);
    }
    const { requestId } = this.envelope;
    if (!this.signal.aborted) {
      failed(error, this.method.routeKey, requestId);
    }
    return internal(this.method.routeKey, error, requestId);
  }

  end(): void {
    this.stop();
  }
}
