// The client's side of one connection to the signaling service.
//
//     greeting ──hello──▶ proving ──authenticated──▶ registering ──registered──▶ registered
//         │                  │                           │                          │
//         └────────── lost, refused, replaced ───────────┴──────────▶ ended ◀───────┘
//
// The service speaks first. Messages come in, effects come out, in order. Every request has a number;
// its answer carries it. A connection that is lost ends its session; the next one has a new session,
// made from the same registration and subscriptions.

import type { PeerError } from "../../errors";
import { BusyError, LimitError, RemoteProtocolError } from "../../errors";
import type { ActrId } from "../identity/ids";
import { CloseCode } from "../wire/close-codes";
import type { IceServer } from "../webrtc/negotiation";
import type { Body, GoAway, Hello, Refusal, Registered, Relayed, Replaced, Said, Snapshot } from "./messages";
import type { Load, PresenceEvent, Registration } from "./presence";
import type { Proofs } from "./proofs";
import { lacking, refused } from "./refusals";
import type { Request } from "./requests";
import { encode } from "./requests";

/** Requests that may wait for their answers; heartbeats are none of them. */
export const MAX_OPEN = 1024;
/** Seconds between heartbeats, whatever the service asks for. */
const MIN_HEARTBEAT = 1;
const MAX_HEARTBEAT = 60;
/** Seconds within which a service that goes away is left, whatever it says. */
const MAX_MOVE = 30;

export type State = "greeting" | "proving" | "registering" | "registered" | "ended";

export type Effect =
  | { readonly kind: "send"; readonly data: Uint8Array }
  /** The service says what time it has: Unix seconds. */
  | { readonly kind: "greeted"; readonly time: number }
  | Enrolled
  /** The answer to request `number`. */
  | { readonly kind: "answered"; readonly number: number; readonly body: Body }
  /** What nobody asked for: a relay of another peer, or word of presence. */
  | { readonly kind: "told"; readonly body: Told }
  /** New credentials in place of those that near their end. */
  | { readonly kind: "freshened"; readonly iceServers: readonly IceServer[] }
  /** Leave this connection after so many seconds and make another. */
  | { readonly kind: "move"; readonly after: number };

/** The registration stands; `iceServers` are good for now. */
export interface Enrolled {
  readonly kind: "enrolled";
  readonly epoch: bigint;
  /** Seconds between heartbeats, before jitter. */
  readonly heartbeat: number;
  readonly iceServers: readonly IceServer[];
  /** Another process held the identity until now. */
  readonly tookOver: boolean;
}

export type Told = Relayed | PresenceEvent | Snapshot;

/**
 * - `lost`: the connection ended; try again, at once (`isPlanned`) or after the back-off.
 * - `final`: it ended for good: never try again.
 */
export type Ending =
  | { readonly kind: "lost"; readonly why: string; readonly isPlanned: boolean }
  | { readonly kind: "final"; readonly error: PeerError };

const ANSWERS: Readonly<Record<Request["kind"], readonly Body["kind"][]>> = {
  authenticate: ["authenticated"],
  register: [],
  heartbeat: ["heartbeatAck"],
  subscribe: ["snapshot"],
  unsubscribe: ["done"],
  discover: ["discovered"],
  relay: ["receipt", "undelivered"],
  unregister: ["receipt", "done"],
};
const ANY_ANSWER: ReadonlySet<Body["kind"]> = new Set(Object.values(ANSWERS).flat());

/** One connection's session, from the upgrade to its end. */
export class ClientSession {
  state: State = "greeting";
  serverId = "";
  #hello: Hello | undefined;
  /** The certificate that the service has. */
  #shown = "";
  #last = 0;
  /** Number to the kind of each request that is not answered. */
  readonly #open = new Map<number, Request["kind"]>();
  #epoch = 0n;
  /** Whether word came that an older registration replaces this one: it never does. */
  #isNewest = false;
  #maxBytes = 0;
  #final: PeerError | undefined;
  #wasMoved = false;

  /**
   * @param registration registered once the proof is taken
   * @param proofs of who this actor is; in development mode none is asked for
   * @param subscriptions types to subscribe to as soon as registered
   */
  constructor(
    readonly registration: Registration,
    readonly proofs: Proofs,
    readonly subscriptions: readonly string[] = [],
  ) {}

  get id(): ActrId {
    return this.registration.id;
  }

  /**
   * The number of a new request and what to send for it. Throws `LimitError` if the message is longer
   * than the service takes, or too many requests are not answered yet.
   */
  ask(request: Request): { number: number; data: Uint8Array } {
    if (this.#open.size >= MAX_OPEN) {
      throw new LimitError("signaling requests", MAX_OPEN, MAX_OPEN + 1);
    }
    const data = this.#encode(request);
    this.#open.set(this.#last, request.kind);
    return { number: this.#last, data };
  }

  /** A heartbeat: no request, for nobody waits for its answer. */
  beat(load: Load): Uint8Array {
    return this.#encode({ kind: "heartbeat", load });
  }

  /** Proves a certificate that is new since the last proof; undefined: there is nothing to say. */
  async renew(): Promise<Uint8Array | undefined> {
    const { certificate } = this.proofs;
    // An older service, which says no time, knows no certificates.
    if (this.state !== "registered" || certificate === this.#shown || !this.#hello?.time) {
      return undefined;
    }
    if (certificate === "") {
      return undefined;
    }
    this.#shown = certificate;
    return this.ask(await this.proofs.authenticate(this.id, this.#hello)).data;
  }

  #encode(request: Request): Uint8Array {
    const data = encode(this.#last + 1, request);
    if (0 < this.#maxBytes && this.#maxBytes < data.length) {
      throw new LimitError("bytes of a signaling message", this.#maxBytes, data.length);
    }
    this.#last += 1;
    return data;
  }

  /** Nobody waits for this answer any more; it is dropped when it comes. */
  forget(number: number): void {
    this.#open.delete(number);
  }

  /**
   * Takes one message of the service, as `decode` reads it; what follows, in order. The next one is to
   * wait for that: proofs are made here. Rejects with `RemoteProtocolError` if it may not come now.
   */
  async take({ replyTo, body }: Said): Promise<readonly Effect[]> {
    if (body === undefined || this.state === "ended") {
      return [];
    }
    try {
      return await this.#step(replyTo, body);
    } catch (error) {
      if (error instanceof LimitError) {
        // Of what this side must say first.
        const text = `a service that takes too little: ${error.message}`;
        throw new RemoteProtocolError(text, { cause: error });
      }
      throw error;
    }
  }

  #step(number: number, body: Body): readonly Effect[] | Promise<readonly Effect[]> {
    switch (`${this.state}, ${body.kind}` as const) {
      case "greeting, hello":
        return this.#greeted(body as Hello);
      case "proving, authenticated":
        return this.#proven(number);
      case "registering, registered":
        return this.#enrolled(number, body as Registered);
      case "proving, refusal":
      case "registering, refusal":
        return this.#turnedAway(body as Refusal);
      case "registered, refusal":
        return this.#refusedOne(number, body as Refusal);
    }
    if (body.kind === "goaway") {
      return this.#moved(body);
    }
    if (body.kind === "replaced") {
      return this.#replaced(body);
    }
    if (this.state !== "registered") {
      throw new RemoteProtocolError(`${body.kind} while ${this.state}`);
    }
    switch (body.kind) {
      case "heartbeatAck": {
        const { iceServers } = body;
        const fresh: Effect[] = iceServers.length > 0 ? [{ kind: "freshened", iceServers }] : [];
        return [...this.#answer(number, body), ...fresh];
      }
      case "snapshot":
        // First the view, then who waits for it.
        return [{ kind: "told", body }, ...this.#answer(number, body)];
      case "relayed":
      case "presence":
        return [{ kind: "told", body }];
    }
    if (ANY_ANSWER.has(body.kind)) {
      return this.#answer(number, body);
    }
    throw new RemoteProtocolError(`${body.kind} while ${this.state}`);
  }

  /** The socket has closed: with `code` when the service said why. What now? */
  lost(code: number | undefined, reason: string): Ending {
    this.state = "ended";
    if (this.#final !== undefined) {
      return { kind: "final", error: this.#final };
    }
    if (code === CloseCode.REPLACED && !this.#isNewest) {
      return { kind: "final", error: this.#taken() };
    }
    if (code === CloseCode.UNAUTHENTICATED || code === CloseCode.FORBIDDEN) {
      return { kind: "final", error: this.#refusal(code, reason) };
    }
    const why = code === undefined ? reason || "connection lost" : `${code} ${reason}`.trim();
    return { kind: "lost", why, isPlanned: this.#wasMoved || code === CloseCode.RESTART };
  }

  async #greeted(hello: Hello): Promise<Effect[]> {
    this.#final = lacking(hello, this.proofs);
    if (this.#final !== undefined) {
      throw new RemoteProtocolError("a proof is required that one of the two cannot give");
    }
    this.state = "proving";
    this.serverId = hello.serverId;
    this.#hello = hello;
    this.#maxBytes = hello.maxMessageBytes;
    this.#shown = this.proofs.certificate;
    const proof = this.#send(await this.proofs.authenticate(this.id, hello));
    return hello.time > 0 ? [{ kind: "greeted", time: hello.time }, proof] : [proof];
  }

  async #proven(number: number): Promise<Effect[]> {
    this.forget(number);
    this.state = "registering";
    return [this.#send(await this.proofs.register(this.registration))];
  }

  #enrolled(number: number, body: Registered): Effect[] {
    this.forget(number);
    this.state = "registered";
    const { epoch, iceServers, tookOver } = body;
    this.#epoch = epoch;
    const heartbeat = Math.min(Math.max(body.heartbeat, MIN_HEARTBEAT), MAX_HEARTBEAT);
    const asks = this.subscriptions.map((actrType) => this.#send({ kind: "subscribe", actrType }));
    return [{ kind: "enrolled", epoch, heartbeat, iceServers, tookOver }, ...asks];
  }

  #send(request: Request): Effect {
    return { kind: "send", data: this.ask(request).data };
  }

  /** The proof or the registration is refused; a close follows, or nothing ever. */
  #turnedAway({ code, message }: Refusal): never {
    if (code !== CloseCode.TOO_FAST) {
      this.#final = this.#refusal(code, message);
    }
    throw new RemoteProtocolError(`${code} ${message}`);
  }

  /** One request is refused; number 0 is word of the close that follows. */
  #refusedOne(number: number, body: Refusal): Effect[] {
    const asked = this.#open.get(number);
    this.#open.delete(number);
    if (asked === undefined) {
      return [];
    }
    if (asked === "authenticate" && body.code === CloseCode.UNAUTHENTICATED) {
      this.#shown = ""; // with the next heartbeat again: the service may learn of the issuer
    }
    return [{ kind: "answered", number, body }];
  }

  #answer(number: number, body: Body): Effect[] {
    const asked = this.#open.get(number);
    this.#open.delete(number);
    if (asked === undefined) {
      return []; // who asked has given up
    }
    if (!ANSWERS[asked].includes(body.kind)) {
      throw new RemoteProtocolError(`${body.kind} in answer to ${asked}`);
    }
    return [{ kind: "answered", number, body }];
  }

  #moved({ after }: GoAway): Effect[] {
    if (this.#wasMoved) {
      return [];
    }
    this.#wasMoved = true;
    return [{ kind: "move", after: Math.min(after, MAX_MOVE) }];
  }

  #replaced({ epoch }: Replaced): Effect[] {
    this.#isNewest = epoch <= this.#epoch;
    if (!this.#isNewest) {
      this.#final = this.#taken();
    }
    return [];
  }

  #taken(): BusyError {
    return new BusyError(`a newer process has the identity ${this.id}`);
  }

  #refusal(code: number, message: string): PeerError {
    return refused(this.id, code, message, this.proofs.certified !== undefined);
  }
}
