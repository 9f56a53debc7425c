// Who offers, who answers, and what each message means now.
//
// The far side may have no rollback, so two crossing offers cannot be undone. We never let them
// cross: of the two ends of a connection one is the offerer for its life (the smaller actor id), and
// the other asks it for an offer (docs/decisions/0003-single-offerer.md).
//
// Every offer has an exchange number, counted from 1 on each connection; its answer repeats it. What
// belongs to an older exchange is dropped.

import { RemoteProtocolError } from "../../errors";
import type { ActrId } from "../identity/ids";

/** A STUN or TURN server, as the signaling service or the operator names it. */
export interface IceServer {
  /** `stun:host:port`, `turn:host:port?transport=udp` or `turns:…`. */
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}

/** Why an offer is asked for; the values are those of `actr/signaling.proto`. */
export enum RequestCause {
  CONNECT = 0,
  TRACKS = 1,
  NETWORK_CHANGED = 2,
}

type Tracks = Readonly<Record<string, string>>;

/** A description, and the sender's tracks in it: mid of a media section to the id of the track. */
export interface Description {
  readonly kind: "offer" | "answer";
  readonly sdp: string;
  readonly trackIds: Tracks;
}

/** One way to reach the sender. */
export interface Candidate {
  readonly kind: "candidate";
  /** The attribute without `candidate:`; empty: there are no more. */
  readonly candidate: string;
  readonly sdpMid: string;
  readonly sdpMLineIndex: number;
}

/** From the side that does not offer: make an offer. */
export interface RequestOffer {
  readonly kind: "requestOffer";
  readonly cause: RequestCause;
  /** Ids of all tracks that the asker wants to send, each with `audio` or `video`. */
  readonly tracks: Tracks;
}

/** The connection is given up. */
export interface Bye {
  readonly kind: "bye";
  readonly reason: string;
}

/** Come to the signaling service for a relayed wire, with the connection id as the ticket. */
export interface Join {
  readonly kind: "wire";
}

export type Body = Description | Candidate | RequestOffer | Bye | Join;

/** What its sender signed of a description (`identity/descriptions.ts`). */
export interface Proof {
  readonly statement: Uint8Array;
  readonly certificate: Uint8Array;
  readonly signature: Uint8Array;
}

/** What one end of a connection says to the other by way of signaling. */
export interface NegotiateMessage {
  /** Chosen by the offerer; empty in a request for a new connection. */
  readonly connectionId: string;
  readonly exchange: number;
  readonly body: Body;
  readonly proof?: Proof;
}

/** Fixed for the life of a connection. */
export type Role = "offerer" | "answerer";

/** The smaller id offers, whoever asked for the connection. */
export function roleOf(local: ActrId, remote: ActrId): Role {
  return local.isSmallerThan(remote) ? "offerer" : "answerer";
}

/**
 * - `waiting`: an offer, or a request for one, is on its way.
 * - `waiting again`: likewise, and something changed since: go round once more after.
 */
export type State = "stable" | "waiting" | "waiting again" | "closed";

/**
 * - `changed`: a track was added or taken away here: the description is out of date.
 * - `request`: the answerer asks for an offer.
 * - `overdue`: what was sent, or what it should bring, got lost: say it again.
 */
export type Input = "changed" | "request" | "offer" | "answer" | "overdue" | "close";

export type Action =
  | "send offer"
  | "send request"
  | "apply and answer"
  | "apply answer"
  | "close connection";

type Step = readonly [State, ...Action[]];
type Table = Readonly<Record<Exclude<State, "closed">, Partial<Record<Input, Step>>>>;

export const TABLES: Readonly<Record<Role, Table>> = {
  offerer: {
    stable: {
      changed: ["waiting", "send offer"],
      request: ["waiting", "send offer"],
      overdue: ["stable"],
      answer: ["stable"], // a repeated one
    },
    waiting: {
      changed: ["waiting again"],
      request: ["waiting again"],
      answer: ["stable", "apply answer"],
      overdue: ["waiting", "send offer"],
    },
    "waiting again": {
      changed: ["waiting again"],
      request: ["waiting again"],
      answer: ["waiting", "apply answer", "send offer"],
      // The new offer holds what changed: one round does for both.
      overdue: ["waiting", "send offer"],
    },
  },
  answerer: {
    stable: {
      changed: ["waiting", "send request"],
      offer: ["stable", "apply and answer"],
      overdue: ["stable"],
    },
    waiting: {
      changed: ["waiting again"],
      offer: ["stable", "apply and answer"],
      overdue: ["waiting", "send request"],
    },
    "waiting again": {
      changed: ["waiting again"],
      offer: ["waiting", "apply and answer", "send request"],
      overdue: ["waiting", "send request"],
    },
  },
};

/** One connection's negotiation: inputs in, actions out, nothing else. */
export class Negotiation {
  state: State = "stable";
  /** At the offerer, of the last offer made; at the answerer, of the last taken. */
  exchange = 0;

  constructor(readonly role: Role) {}

  /**
   * Takes one input; returns what the shell must do now, in order. Throws `RemoteProtocolError` if
   * the far side may not send this now: then nothing has changed.
   *
   * @param exchange for an offer and an answer, the number that came with it
   */
  handle(input: Input, exchange = 0): readonly Action[] {
    if (this.state === "closed") {
      return [];
    }
    if (input === "close") {
      this.state = "closed";
      return ["close connection"];
    }
    if (this.#isOld(input, exchange)) {
      return [];
    }
    const step = TABLES[this.role][this.state][input];
    if (step === undefined) {
      throw new RemoteProtocolError(`${input} at ${this.role} in ${this.state}`);
    }
    const [state, ...actions] = step;
    this.state = state;
    if (input === "offer") {
      this.exchange = exchange;
    }
    if (actions.includes("send offer")) {
      this.exchange += 1;
    }
    return actions;
  }

  /**
   * Whether an input belongs to an exchange that is over. Throws `RemoteProtocolError` if it answers
   * an offer that was never made.
   */
  #isOld(input: Input, exchange: number): boolean {
    if (input === "offer" && this.role === "answerer") {
      return exchange <= this.exchange;
    }
    if (input === "answer" && this.role === "offerer") {
      if (exchange > this.exchange) {
        throw new RemoteProtocolError(`answer ${exchange} to offer ${this.exchange}`);
      }
      return exchange < this.exchange;
    }
    return false;
  }
}
