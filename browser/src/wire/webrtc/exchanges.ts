// One connection's descriptions and candidates, between signaling and the peer connection.

import { LimitError, PeerError, RemoteProtocolError } from "../../errors";
import type { ActrId } from "../../protocol/identity/ids";
import { CandidateInbox, clean, MAX_TRICKLED } from "../../protocol/webrtc/candidates";
import type {
  Action,
  Body,
  Candidate,
  Description,
  Input,
  NegotiateMessage,
  RequestOffer,
  Role,
} from "../../protocol/webrtc/negotiation";
import { Negotiation, RequestCause } from "../../protocol/webrtc/negotiation";
import { Timer } from "../timing";
import type { Peer } from "./peer";

const MAX_INPUTS = 128;
/** After which an exchange on an open connection is begun again: a message got lost. */
const ANSWER_SECONDS = 5;

/** Brings a message to a remote by way of signaling, or rejects with a `PeerError`. */
export type Relay = (remote: ActrId, message: NegotiateMessage) => Promise<void>;

/** Feeds one `Negotiation` and does what it says, one input after the other. */
export class Exchanges {
  /** Whether a description of the far side was taken. */
  isDescribed = false;
  #isOpen = false;
  #hasEnded = false;
  readonly #negotiation: Negotiation;
  readonly #inbox = new CandidateInbox();
  readonly #overdue = new Timer();
  #turn: Promise<void> = Promise.resolve();
  #inputs = 0;
  /** What was said is to be said again, and no more than once. */
  #isRepeating = false;
  readonly #said: NegotiateMessage[] = [];
  #candidates = 0;

  /** @param failed called when negotiation cannot go on */
  constructor(
    readonly connectionId: string,
    readonly remote: ActrId,
    role: Role,
    readonly peer: Peer,
    readonly relay: Relay,
    readonly failed: (error: PeerError) => void,
  ) {
    this.#negotiation = new Negotiation(role);
  }

  // Inputs: synchronous, from signaling, the owner and the peer connection

  /** Takes one message of the far side; the owner takes a bye itself. */
  receive({ body, exchange }: NegotiateMessage): void {
    switch (body.kind) {
      case "offer":
      case "answer":
        this.isDescribed = true;
        this.#put(() => this.#decide(body.kind, exchange, body));
        break;
      case "requestOffer":
        this.#put(() => this.#decide("request", 0, body));
        break;
      case "candidate":
        this.#put(() => this.#try(this.#inbox.receive(body)));
        break;
    }
  }

  /** The connection is open: from now on a relay that fails is tried again, not fatal. */
  opened(): void {
    this.#isOpen = true;
    this.#said.length = 0;
    this.#watch();
  }

  /** Makes a new exchange: this side's tracks changed, or nothing was said yet. */
  changed(): void {
    this.#put(() => this.#decide("changed"));
  }

  /** Says again what was said; does nothing once a description of the far side is here. */
  repeat(): void {
    if (!this.isDescribed && !this.#isRepeating) {
      this.#isRepeating = true;
      this.#put(() => this.#sayAgain());
    }
  }

  /** Tells the far side of one more way to reach this one, as many as it takes, and of their end. */
  candidate(candidate: Candidate): void {
    if (candidate.candidate === "" || this.#candidates++ < MAX_TRICKLED) {
      this.#put(() => this.#say(candidate));
    }
  }

  /** Tells the far side that the connection is given up, if that can be told. */
  async bye(reason: string): Promise<void> {
    const body = { kind: "bye", reason } as const;
    await this.relay(this.remote, { connectionId: this.connectionId, exchange: 0, body }).catch(() => undefined);
  }

  end(): void {
    this.#hasEnded = true;
    this.#overdue.stop();
  }

  #put(work: () => Promise<void>): void {
    if (this.#inputs === MAX_INPUTS) {
      this.failed(new LimitError("negotiation messages", MAX_INPUTS, MAX_INPUTS + 1));
      return;
    }
    this.#inputs += 1;
    this.#turn = this.#turn.then(async () => {
      this.#inputs -= 1;
      try {
        if (!this.#hasEnded) {
          await work();
        }
      } catch (error) {
        this.#broke(error);
      }
    });
  }

  /** What the browser cannot use of a description is the far side's fault: it has said it. */
  #broke(cause: unknown): void {
    if (this.#hasEnded) {
      return;
    }
    const isOurs = cause instanceof PeerError;
    this.failed(isOurs ? cause : new RemoteProtocolError(`a description that cannot be used: ${cause}`, { cause }));
  }

  // What follows

  /** Has the negotiation say what to do, and does it. */
  async #decide(input: Input, exchange = 0, body?: Description | RequestOffer): Promise<void> {
    if (body?.kind === "requestOffer") {
      this.peer.expect(body.tracks);
    }
    for (const action of this.#negotiation.handle(input, exchange)) {
      await this.#perform(action, body);
    }
    this.#watch();
  }

  async #perform(action: Action, body: Description | RequestOffer | undefined): Promise<void> {
    const far = body !== undefined && body.kind !== "requestOffer" ? body : undefined;
    if (action === "send offer") {
      await this.#say(await this.peer.offer());
    } else if (action === "send request") {
      await this.#say({ kind: "requestOffer", cause: RequestCause.TRACKS, tracks: this.peer.wanted() });
    } else if (far !== undefined) {
      const description = { ...far, sdp: clean(far.sdp) };
      if (action === "apply and answer") {
        await this.#say(await this.peer.answer(description));
      } else {
        await this.peer.accept(description);
      }
      await this.#try(this.#inbox.described());
    }
  }

  async #try(candidates: readonly Candidate[]): Promise<void> {
    for (const candidate of candidates) {
      await this.peer.addCandidate(candidate);
    }
  }

  async #say(body: Body): Promise<void> {
    const { connectionId } = this;
    const message: NegotiateMessage = { connectionId, exchange: this.#negotiation.exchange, body };
    if (!this.#isOpen && this.#said.length < MAX_TRICKLED) {
      this.#said.push(message);
    }
    try {
      await this.relay(this.remote, message);
    } catch (error) {
      const isVital = !this.#isOpen && body.kind !== "candidate";
      if (isVital || !(error instanceof PeerError)) {
        throw error;
      }
    }
  }

  async #sayAgain(): Promise<void> {
    this.#isRepeating = false;
    for (const message of [...this.#said]) {
      await this.relay(this.remote, message);
    }
  }

  /** Begins an exchange again that got lost on an open connection. */
  #watch(): void {
    this.#overdue.stop();
    if (this.#isOpen && !this.#hasEnded && this.#negotiation.state !== "stable") {
      this.#overdue.set(ANSWER_SECONDS, () => this.#put(() => this.#decide("overdue")));
    }
  }
}
