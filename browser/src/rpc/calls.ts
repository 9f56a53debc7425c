// Calls that wait for their reply: request id to waiter.
//
// Replies are matched here, by the link that they come from: nobody but the callee can answer a call.
// A late or unknown reply is dropped.

import { ClosedError } from "../errors";
import type { RpcLane } from "../protocol/payload";
import type { Envelope } from "../protocol/rpc/envelopes";
import type { Link } from "../transport/link";

/** What goes out again where the callee restarts before it answers. */
interface Sent {
  readonly lane: RpcLane;
  readonly message: Uint8Array;
}

interface Pending {
  /** Null until it has left; a stream's opening does not go out again. */
  sent: Sent | "stream" | null;
  readonly resolve: (reply: Envelope) => void;
  readonly reject: (error: unknown) => void;
}

export class PendingCalls {
  private readonly calls = new Map<string, Pending>();

  get isAny(): boolean {
    return this.calls.size > 0;
  }

  /** Waits for a reply; ends with it, with what the signal says, or with the link. */
  wait(requestId: string, signal: AbortSignal): Promise<Envelope> {
    return new Promise<Envelope>((resolve, reject) => {
      const end = () => {
        this.calls.delete(requestId);
        signal.removeEventListener("abort", onAbort);
      };
      const pending: Pending = {
        sent: null,
        resolve: (reply) => {
          end();
          resolve(reply);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const onAbort = () => pending.reject(signal.reason);
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      this.calls.set(requestId, pending);
      signal.addEventListener("abort", onAbort);
    });
  }

  /** The request has left. */
  sent(requestId: string, sent: Sent | "stream"): void {
    const call = this.calls.get(requestId);
    if (call !== undefined) {
      call.sent = sent;
    }
  }

  /**
   * The callee is a new process: requests that its predecessor has not answered go to it again, for
   * they may have been lost with it; those that opened streams fail.
   */
  renew(link: Link, error: Error): void {
    for (const call of [...this.calls.values()]) {
      if (call.sent === "stream") {
        call.reject(error);
      } else if (call.sent !== null) {
        link.lane(call.sent.lane).post(call.sent.message);
      }
    }
  }

  /** Gives a reply to who waits for it. */
  resolve(reply: Envelope): void {
    this.calls.get(reply.requestId)?.resolve(reply);
  }

  /** Nobody waits for it any more. */
  leave(requestId: string): void {
    this.calls.get(requestId)?.reject(new ClosedError("left"));
  }

  /** The link is gone: its calls fail, at once. */
  fail(error: Error): void {
    for (const call of [...this.calls.values()]) {
      call.reject(error);
    }
  }
}
