// Keeps one registration up over any number of connections to the signaling service.
//
//     connecting ──registered──▶ registered ──lost──▶ waiting ──back-off over──▶ connecting
//          └──────── refused at the start, replaced, left: for good ──────────────────┘
//
// A service that refuses an actor which was registered before is asked again, every half minute
// (`refused` meanwhile): a secret that is changed replica by replica must not silence an actor that
// works. Where it can have something new to prove itself with, it tries that first, also at the start,
// once until it is registered again. What is asked during an outage waits until its deadline and goes out on the next connection.

import type { PeerError } from "../../errors";
import { BrokenError, BusyError, ClosedError, ConfigError, DeadlineError, UnreachableError } from "../../errors";
import type { Body } from "../../protocol/signaling/messages";
import type { Request } from "../../protocol/signaling/requests";
import type { Ending } from "../../protocol/signaling/session";
import { Backoff } from "../../protocol/wire/backoff";
import { monotonic, Nap, within } from "../timing";
import type { Connection } from "./connection";

const LEAVE_SECONDS = 1;
/** Between attempts of an actor that was registered before, and is refused now. */
const REFUSED_SECONDS = 30;

/**
 * Where the connection to the signaling service stands.
 *
 * - `waiting`: lost; the next attempt waits for its back-off.
 * - `replaced`: a newer process has this identity. Final.
 * - `refused`: the service does not take this actor: final at the start, asked again later.
 */
export type SignalingState =
  | "connecting"
  | "registered"
  | "waiting"
  | "replaced"
  | "refused"
  | "closed";

/** Runs from `start` until `leave`; owns the connection. */
export class Upkeep {
  state: SignalingState = "connecting";
  /** The connection on which the registration stands. */
  live: Connection | undefined;
  #final: PeerError | undefined;
  #wasRegistered = false;
  #lastFailure = "";
  readonly #nap = new Nap();
  /** Those who wait for a connection, or for word that there never will be one. */
  #settled: (() => void)[] = [];

  /**
   * @param url names the service in errors
   * @param connect makes a new connection, with a new session
   * @param changed told of each new state
   * @param renew settles with whether there is something new to prove who this is
   */
  constructor(
    readonly url: string,
    readonly connect: () => Connection,
    readonly changed: (state: SignalingState) => void,
    readonly renew: () => Promise<boolean> | undefined,
  ) {}

  /** Why there is no live connection; empty: there is one, or none has failed yet. */
  get trouble(): string {
    const isAway = this.live === undefined && this.#lastFailure !== "";
    return isAway ? `signaling at ${this.url} is away: ${this.#lastFailure}` : "";
  }

  /**
   * Settles when registered; nothing runs after a failure. Rejects with `UnreachableError` if it does
   * not come about within so many seconds, `ConfigError` if the service refuses this actor, and
   * `BusyError` if a newer process took the identity meanwhile.
   */
  async start(seconds: number): Promise<void> {
    void this.#run();
    try {
      await within(seconds, this.#connection(), () => {
        const why = `not registered within ${seconds} s: ${this.#lastFailure || "no attempt ended"}`;
        return new UnreachableError(`signaling at ${this.url}`, why);
      });
    } catch (error) {
      this.#close(new ClosedError("this actor has left signaling"));
      throw error;
    }
  }

  /** Tries again now, if it waits: the network may have changed. */
  retry(): void {
    this.#nap.wake();
  }

  /** Unregisters, within a second; final. Harmless when called again. */
  async leave(): Promise<void> {
    const connection = this.live;
    if (this.#close(new ClosedError("this actor has left signaling")) && connection !== undefined) {
      await connection.ask({ kind: "unregister" }, LEAVE_SECONDS).catch(() => undefined);
      connection.close();
    }
  }

  /**
   * Asks on the live connection, or on the next one, until the answer or the deadline. Rejects with
   * `UnreachableError` if the service does not answer within `seconds`, or refuses; with `LimitError`
   * if the request is too long, or too many are open; with `ClosedError`, `BusyError` or `ConfigError`
   * if there never will be a connection again.
   *
   * @param what names in errors what cannot be reached
   */
  async ask(request: Request, seconds: number, what = "signaling"): Promise<Body> {
    const until = monotonic() + seconds;
    const late = () => new DeadlineError(`no answer of the signaling service within ${seconds} s`);
    const left = () => Math.max(0, until - monotonic());
    for (;;) {
      let connection: Connection | undefined;
      try {
        connection = await within(left(), this.#connection(), late);
        const answer = await connection.ask(request, left());
        if (answer.kind === "refusal") {
          const why = `signaling refuses the message: ${answer.code} ${answer.message}`;
          throw new UnreachableError(what, why, { cause: answer });
        }
        return answer;
      } catch (error) {
        if (error instanceof DeadlineError) {
          throw new UnreachableError(what, this.trouble || error.message, { cause: error });
        }
        if (!(error instanceof BrokenError)) {
          throw error;
        }
        if (this.live === connection) {
          this.live = undefined;
        }
      }
    }
  }

  /** A connection says that the registration stands on it. */
  enrolled(connection: Connection): void {
    if (this.#final === undefined) {
      this.live = connection;
      this.#wasRegistered = true;
      this.#move("registered");
      this.#settle();
    }
  }

  async #run(): Promise<void> {
    const backoff = new Backoff();
    let isRenewed: boolean | void = false;
    while (this.#final === undefined) {
      this.#move("connecting");
      const { ending, wasEnrolled } = await this.#serve();
      this.live = undefined;
      if (this.#final !== undefined) {
        return;
      }
      if (wasEnrolled) {
        backoff.succeeded();
        isRenewed = false;
      }
      if (ending.kind === "lost") {
        this.#lastFailure = ending.why;
        // A replica that goes away has already spread its peers over time.
        const wait = ending.isPlanned && wasEnrolled ? 0 : backoff.failed(Math.random());
        this.#move("waiting");
        await this.#nap.sleep(wait);
        continue;
      }
      const { error } = ending;
      const isReplaced = error instanceof BusyError;
      const mayLast = this.#wasRegistered && !isReplaced;
      this.#lastFailure = error.message;
      if (mayLast) {
        this.#move("refused");
      }
      const late = this.#nap.sleep(REFUSED_SECONDS);
      if (!isRenewed && !isReplaced) {
        // Not ended with the nap: `retry` is called where there is a certificate again, which is the answer.
        isRenewed = await within(REFUSED_SECONDS, Promise.resolve(this.renew()), () => error).catch(() => false);
        if (isRenewed) {
          this.#nap.wake();
          continue;
        }
      }
      if (mayLast) {
        await late;
      } else {
        this.#close(error);
      }
    }
  }

  async #serve(): Promise<{ ending: Ending; wasEnrolled: boolean }> {
    let connection: Connection;
    try {
      connection = this.connect();
    } catch (cause) {
      const why = `signaling at ${this.url}: write a WebSocket address, as ws://host:port/v1/ws`;
      return { ending: { kind: "final", error: new ConfigError(why, { cause }) }, wasEnrolled: false };
    }
    this.#stop = () => connection.close();
    const ending = await connection.ended;
    return { ending, wasEnrolled: connection.wasEnrolled };
  }

  /** Ends an attempt that has no registration yet. */
  #stop: () => void = () => {};

  /** Ends for good, once; wires are not touched by that. Returns whether it was now. */
  #close(error: PeerError): boolean {
    if (this.#final !== undefined) {
      return false;
    }
    this.#final = error;
    if (this.live === undefined) {
      this.#stop();
    }
    this.live = undefined;
    const isRefused = error instanceof ConfigError ? "refused" : "closed";
    this.#move(error instanceof BusyError ? "replaced" : isRefused);
    this.#nap.wake();
    this.#settle();
    return true;
  }

  #move(state: SignalingState): void {
    if (state !== this.state) {
      this.state = state;
      this.changed(state);
    }
  }

  #settle(): void {
    const settled = this.#settled;
    this.#settled = [];
    for (const wake of settled) {
      wake();
    }
  }

  /** Waits for a connection on which this actor is registered. */
  async #connection(): Promise<Connection> {
    while (this.live === undefined) {
      if (this.#final !== undefined) {
        throw this.#final;
      }
      await new Promise<void>((resolve) => this.#settled.push(resolve));
    }
    return this.live;
  }
}
