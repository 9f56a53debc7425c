// One WebSocket to the signaling service, from the upgrade to its end.

import { BrokenError, DeadlineError, RemoteProtocolError } from "../../errors";
import type { Body, Refusal } from "../../protocol/signaling/messages";
import { decode } from "../../protocol/signaling/messages";
import type { Load } from "../../protocol/signaling/presence";
import type { ReadPresence } from "../../protocol/signaling/reading";
import type { Request } from "../../protocol/signaling/requests";
import type { ClientSession, Effect, Ending, Enrolled, Told } from "../../protocol/signaling/session";
import type { IceServer } from "../../protocol/webrtc/negotiation";
import { CloseCode } from "../../protocol/wire/close-codes";
import type { Closed, SocketClass } from "../socket";
import { OwnedSocket } from "../socket";
import { monotonic, Timer, within } from "../timing";

const OPEN_SECONDS = 5;
const REGISTER_SECONDS = 5;
/** What every service chooses that is one; to who does not, no connection comes about. */
const SUBPROTOCOL = "actr.v1";
/** Of one message of the service: a snapshot of some ten thousand actors. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Of one turn of the loop, for a long message. */
const READING_SECONDS = 0.004;
const MAX_SILENT_BEATS = 3;

/** Who uses the session hears from it here. */
export interface Listener {
  /** What the service says that nobody asked for. */
  told(body: Told): void;
  freshened(iceServers: readonly IceServer[]): void;
  /** The service says what time it has: Unix seconds. */
  greeted(time: number): void;
  load(): Load;
  /** The registration stands. */
  enrolled(connection: Connection, enrolled: Enrolled): void;
  /** The service refuses what nobody waits for: a subscription, or a new certificate. */
  refused(refusal: Refusal): void;
}

interface Waiting {
  readonly resolve: (body: Body) => void;
  readonly reject: (error: Error) => void;
}

/** Runs a session on a socket of its own; asks are answered in any order. */
export class Connection {
  /** Whether the registration stood once. */
  wasEnrolled = false;
  /** What it all meant, once it has ended. */
  readonly ended: Promise<Ending>;
  #end!: (ending: Ending) => void;
  #hasEnded = false;
  readonly #socket: OwnedSocket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #timer = new Timer();
  readonly #move = new Timer();
  #beatEvery = 0;
  #beatenAt = 0;
  #silentBeats = 0;
  /** Messages are taken one after the other: proofs are made in between. */
  #turn: Promise<void> = Promise.resolve();

  /** Throws a `SyntaxError` for an address that is none. */
  constructor(
    make: SocketClass,
    url: string,
    readonly session: ClientSession,
    readonly read: ReadPresence,
    readonly listener: Listener,
  ) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#socket = new OwnedSocket(make, url, this, [SUBPROTOCOL]);
    this.#timer.set(OPEN_SECONDS, () => this.#give(`no connection within ${OPEN_SECONDS} s`));
  }

  /**
   * Sends a request and waits for its answer. Rejects with `BrokenError` if the connection ends first:
   * the request may have arrived; with `LimitError` if it is too long, or too many are open; with
   * `DeadlineError` after so many seconds, and the answer is forgotten.
   */
  async ask(request: Request, seconds: number): Promise<Body> {
    if (this.#hasEnded) {
      throw new BrokenError("the connection to signaling was lost");
    }
    const { number, data } = this.session.ask(request);
    const answer = new Promise<Body>((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
    });
    this.#socket.send(data);
    return within(seconds, answer, () => {
      this.#waiting.delete(number);
      this.session.forget(number);
      return new DeadlineError(`no answer of the signaling service within ${seconds} s`);
    });
  }

  /** Says good-bye. */
  close(code = CloseCode.NORMAL): void {
    this.#finish(code, "", () => this.session.lost(code, ""));
  }

  // Of the socket

  opened(): void {
    const why = `no registration within ${REGISTER_SECONDS} s`;
    this.#timer.set(REGISTER_SECONDS, () => this.#give(why));
  }

  message(data: Uint8Array | undefined): void {
    this.#silentBeats = 0;
    this.#turn = this.#turn.then(() => this.#take(data)).catch((error: unknown) => this.#broke(error));
  }

  closed({ code, reason }: Closed): void {
    // What came before it says more.
    this.#turn = this.#turn.then(() => this.#finish(undefined, "", () => this.session.lost(code, reason)));
  }

  // What follows

  async #take(data: Uint8Array | undefined): Promise<void> {
    if (this.#hasEnded) {
      return;
    }
    if (data === undefined) {
      throw new RemoteProtocolError("a text frame from the signaling service");
    }
    if (data.length > MAX_MESSAGE_BYTES) {
      throw new RemoteProtocolError(`a message of ${data.length} bytes from the signaling service`);
    }
    for (const effect of await this.session.take(await decode(data, this.read, resting()))) {
      if (this.#hasEnded) {
        return;
      }
      this.#perform(effect);
    }
    // Timers of a page that is not looked at are late: what comes tells the time as well.
    if (this.wasEnrolled && monotonic() - this.#beatenAt > this.#beatEvery * 1.2) {
      this.#beat();
    }
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case "send":
        this.#socket.send(effect.data);
        break;
      case "answered":
        this.#answered(effect.number, effect.body);
        break;
      case "told":
        this.listener.told(effect.body);
        break;
      case "greeted":
        this.listener.greeted(effect.time);
        break;
      case "enrolled":
        this.wasEnrolled = true;
        this.#beatEvery = effect.heartbeat;
        this.#plan();
        this.listener.freshened(effect.iceServers);
        this.listener.enrolled(this, effect);
        break;
      case "freshened":
        this.listener.freshened(effect.iceServers);
        break;
      case "move":
        this.#move.set(effect.after, () => this.close(CloseCode.GOING_AWAY));
        break;
    }
  }

  #answered(number: number, body: Body): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (waiting !== undefined) {
      waiting.resolve(body);
    } else if (body.kind === "refusal") {
      this.listener.refused(body);
    }
  }

  // Heartbeats

  #plan(): void {
    this.#beatenAt = monotonic();
    this.#timer.set(this.#beatEvery * (0.8 + 0.4 * Math.random()), () => this.#beat());
  }

  #beat(): void {
    this.#silentBeats += 1;
    if (this.#silentBeats > MAX_SILENT_BEATS) {
      this.#give("signaling is silent");
      return;
    }
    this.#plan();
    try {
      this.#socket.send(this.session.beat(this.listener.load()));
    } catch (error) {
      this.#broke(error);
      return;
    }
    // In its turn: what is renewed is proved as who it is was.
    this.#turn = this.#turn.then(() => this.#renew()).catch((error: unknown) => this.#broke(error));
  }

  async #renew(): Promise<void> {
    const renewed = this.#hasEnded ? undefined : await this.session.renew();
    if (renewed !== undefined && !this.#hasEnded) {
      this.#socket.send(renewed);
    }
  }

  // The end

  /** Waits for nothing more: there is no other good-bye to say. */
  #give(why: string): void {
    this.#finish(CloseCode.GOING_AWAY, why, () => this.session.lost(undefined, why));
  }

  #broke(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const isTheirs = error instanceof RemoteProtocolError;
    const code = isTheirs ? CloseCode.BAD_MESSAGE : CloseCode.NORMAL;
    this.#finish(code, isTheirs ? why : "", () => this.session.lost(undefined, why));
  }

  /** @param code to close with; undefined: it is closed already */
  #finish(code: CloseCode | undefined, reason: string, ending: () => Ending): void {
    if (this.#hasEnded) {
      return;
    }
    this.#hasEnded = true;
    this.#timer.stop();
    this.#move.stop();
    if (code !== undefined) {
      this.#socket.close(code, reason);
    }
    for (const { reject } of this.#waiting.values()) {
      reject(new BrokenError("the connection to signaling was lost"));
    }
    this.#waiting.clear();
    this.#end(ending());
  }
}

/** Lets others have their turn now and then. */
function resting(): () => Promise<void> | undefined {
  let until = monotonic() + READING_SECONDS;
  return () => {
    if (monotonic() < until) {
      return undefined;
    }
    return new Promise((resolve) => {
      setTimeout(() => {
        until = monotonic() + READING_SECONDS;
        resolve();
      });
    });
  };
}
