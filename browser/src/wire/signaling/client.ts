// The client of the signaling service: one session, kept up over any number of connections.
//
// Wires that work are not touched by anything here. What is asked during an outage waits until its
// deadline. A connection that was lost is made anew after a back-off, with the same registration and
// subscriptions; two ends are final: replaced by a newer process (4409), and refused at the start
// (4401, 4403, a registration that cannot be used).

import { LocalProtocolError, RemoteProtocolError } from "../../errors";
import type { ActrId } from "../../protocol/identity/ids";
import type { Body, Refusal } from "../../protocol/signaling/messages";
import type { Load, Presence, PresenceEvent, Registration } from "../../protocol/signaling/presence";
import { IDLE, MAX_HELD, PresenceView } from "../../protocol/signaling/presence";
import type { Proofs } from "../../protocol/signaling/proofs";
import type { ReadPresence } from "../../protocol/signaling/reading";
import { readPresence } from "../../protocol/signaling/reading";
import { undelivered } from "../../protocol/signaling/refusals";
import type { Discover } from "../../protocol/signaling/requests";
import type { Told } from "../../protocol/signaling/session";
import { ClientSession } from "../../protocol/signaling/session";
import type { IceServer, NegotiateMessage } from "../../protocol/webrtc/negotiation";
import type { SocketClass } from "../socket";
import { monotonic } from "../timing";
import type { Listener } from "./connection";
import { Connection } from "./connection";
import type { SignalingState } from "./upkeep";
import { Upkeep } from "./upkeep";

const ASK_SECONDS = 5;
const START_SECONDS = 10;
/** Actors that one answer has at most. */
export const MAX_FOUND = 256;
/** The last actors that were found, for an outage. */
const MAX_RECENT = 1024;

/** Who uses signaling hears from it here. */
export interface SignalingSink {
  /** What another peer negotiates; the service vouches for who that is. */
  relayed(source: ActrId, negotiate: NegotiateMessage, incarnation: bigint): void;
  /** An actor of a type subscribed to came, changed or left. */
  presence?(event: PresenceEvent): void;
  state?(state: SignalingState): void;
  /** The service names an actor that has not signed what is said of it. */
  refused?(actor: ActrId, why: string): void;
  /** The service says what time it has, and refuses what nobody waits for: for a log. */
  greeted?(time: number): void;
  warned?(why: string): void;
  /** Asked for with each heartbeat. */
  load?(): Load;
}

export interface SignalingOptions {
  /** `ws://host:port/v1/ws`, or `wss://`; the name may stand for several replicas. */
  readonly url: string;
  readonly socket: SocketClass;
  readonly registration: Registration;
  readonly proofs: Proofs;
  readonly sink: SignalingSink;
}

/** Registered from `start` until `close`. */
export class SignalingClient implements Listener {
  /** As last handed out, with credentials. */
  iceServers: readonly IceServer[] = [];
  readonly #options: SignalingOptions;
  readonly #upkeep: Upkeep;
  readonly #read: ReadPresence;
  readonly #view = new PresenceView();
  readonly #subscriptions = new Set<string>();
  /** Types of which a snapshot has come. */
  readonly #filled = new Set<string>();
  readonly #recent = new Map<string, Presence>();

  constructor(options: SignalingOptions) {
    this.#options = options;
    const { proofs, sink } = options;
    const { certified } = proofs;
    this.#read = certified?.isRequired
      ? certified.reader((actor, why) => sink.refused?.(actor, why))
      : readPresence;
    this.#upkeep = new Upkeep(
      options.url,
      () => this.#connect(),
      (state) => sink.state?.(state),
      () => certified?.renew?.(),
    );
  }

  /** Connects and registers; see `Upkeep.start`. */
  start(seconds = START_SECONDS): Promise<void> {
    return this.#upkeep.start(seconds);
  }

  /** Leaves: others see it within a second. Final; harmless when called again. */
  close(): Promise<void> {
    return this.#upkeep.leave();
  }

  /** Tries again now, if it waits: the network may have changed. */
  retry(): void {
    this.#upkeep.retry();
  }

  get state(): SignalingState {
    return this.#upkeep.state;
  }

  /** Why it is registered nowhere, in a clause; empty: it is, or nothing is known yet. */
  get trouble(): string {
    return this.#upkeep.trouble;
  }

  /**
   * Hands a message to another peer; settles when its replica has handed it over. Messages to one peer
   * keep the order of the calls. When the connection breaks before the receipt, the message is sent
   * again and may arrive twice. Rejects with `UnreachableError` if it is not delivered in time; the
   * text says why; with `LimitError` if it is longer than the service takes.
   */
  async relay(to: ActrId, negotiate: NegotiateMessage, seconds = ASK_SECONDS): Promise<void> {
    const answer = await this.#upkeep.ask({ kind: "relay", to, negotiate }, seconds, to.text);
    if (answer.kind === "undelivered") {
      throw undelivered(to, answer.reason);
    }
  }

  /**
   * Who is online of a type, or of the realm; changes go to the sink from now on. It lasts over lost
   * connections: what changed meanwhile comes as events.
   */
  async subscribe(actrType = "", seconds = ASK_SECONDS): Promise<Presence[]> {
    if (!this.#filled.has(actrType)) {
      this.#subscriptions.add(actrType);
      try {
        await this.#upkeep.ask({ kind: "subscribe", actrType }, seconds);
      } catch (error) {
        // One that was asked for at the same time may have come.
        if (!this.#filled.has(actrType)) {
          this.#subscriptions.delete(actrType);
          throw error;
        }
      }
    }
    return this.#view.ofType(actrType);
  }

  /** Ends a subscription; harmless when there is none. */
  async unsubscribe(actrType = "", seconds = ASK_SECONDS): Promise<void> {
    if (this.#subscriptions.delete(actrType)) {
      this.#filled.delete(actrType);
      this.#view.forget(actrType, this.#subscriptions);
      await this.#upkeep.ask({ kind: "unsubscribe", actrType }, seconds);
    }
  }

  /**
   * Who is online of a type, with a service, or both; best first, at most `limit` (0: 16). Over 256
   * they are asked for in several questions: one whose load changes meanwhile may be left out.
   */
  async discover(query: Omit<Discover, "kind" | "id" | "after">, seconds = ASK_SECONDS): Promise<Presence[]> {
    if (!query.actrType && !query.service) {
      throw new LocalProtocolError("discover needs an actor type or a service");
    }
    const wanted = Math.min(query.limit ?? 0, MAX_HELD);
    const until = monotonic() + seconds;
    const found = new Map<string, Presence>();
    let asked: Discover = { ...query, kind: "discover" };
    for (;;) {
      const answer = discovered(await this.#upkeep.ask(asked, until - monotonic()));
      const known = found.size;
      for (const presence of answer.found) {
        found.set(presence.id.text, presence);
      }
      // With no news it would go on for ever.
      if (found.size === known || found.size >= wanted || answer.next === "") {
        this.#remember([...found.values()]);
        return [...found.values()];
      }
      asked = { ...asked, limit: wanted - found.size, after: answer.next };
    }
  }

  /** Looks up an actor among the types subscribed to. */
  find(id: ActrId): Presence | undefined {
    return this.#view.find(id);
  }

  /**
   * As `find`, else asks the service; undefined: it is not online, or hidden. During an outage the last
   * that was known of the actor is returned at once.
   */
  async lookup(id: ActrId, seconds = ASK_SECONDS): Promise<Presence | undefined> {
    const isAway = this.#upkeep.live === undefined;
    const known = this.find(id) ?? (isAway ? this.#recent.get(id.text) : undefined);
    if (known !== undefined) {
      return known;
    }
    this.#recent.delete(id.text); // it may have left
    // A service that does not know the id in the question answers with the best of the type.
    const query: Discover = { kind: "discover", actrType: id.actrType, id, limit: MAX_FOUND };
    this.#remember(discovered(await this.#upkeep.ask(query, seconds)).found);
    return this.#recent.get(id.text);
  }

  #remember(found: readonly Presence[]): void {
    for (const presence of found) {
      this.#recent.delete(presence.id.text);
      this.#recent.set(presence.id.text, presence);
    }
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= MAX_RECENT) {
        break;
      }
      this.#recent.delete(oldest);
    }
  }

  #connect(): Connection {
    const { url, socket, registration, proofs } = this.#options;
    const session = new ClientSession(registration, proofs, [...this.#subscriptions]);
    return new Connection(socket, url, session, this.#read, this);
  }

  // Of the connections

  /** Tells who wants to know; a failure there costs what it was told, not the connection. */
  told(body: Told): void {
    try {
      this.#told(body);
    } catch (error) {
      console.error("a failure in what hears of signaling", error);
    }
  }

  #told(body: Told): void {
    switch (body.kind) {
      case "relayed":
        this.#options.sink.relayed(body.source, body.negotiate, body.incarnation);
        break;
      case "presence":
        this.#learn(body);
        break;
      case "snapshot":
        if (this.#subscriptions.has(body.actrType)) {
          const events = this.#view.reset(body.actrType, body.version, body.present);
          if (this.#filled.has(body.actrType)) {
            // Again, after a lost connection.
            events.forEach((event) => this.#options.sink.presence?.(event));
          }
          this.#filled.add(body.actrType);
        }
        break;
    }
  }

  #learn(event: PresenceEvent): void {
    const { id, epoch } = event.presence;
    if (!this.#subscriptions.has("") && !this.#subscriptions.has(id.actrType)) {
      return;
    }
    const held = this.#view.find(id);
    if (!this.#view.apply(event)) {
      return;
    }
    // Nobody signs that it has left: what is told of it is what was known, not what comes.
    const isChecked = this.#read !== readPresence && event.change === "leave" && held !== undefined;
    this.#options.sink.presence?.(isChecked ? { ...event, presence: { ...held, epoch } } : event);
  }

  freshened(iceServers: readonly IceServer[]): void {
    this.iceServers = iceServers;
  }

  greeted(time: number): void {
    this.#options.sink.greeted?.(time);
  }

  load(): Load {
    return this.#options.sink.load?.() ?? IDLE;
  }

  enrolled(connection: Connection): void {
    this.#upkeep.enrolled(connection);
  }

  refused({ code, message }: Refusal): void {
    this.#options.sink.warned?.(`signaling refuses: ${code} ${message}`);
  }
}

function discovered(answer: Body) {
  if (answer.kind !== "discovered") {
    throw new RemoteProtocolError(`${answer.kind} in answer to discover`);
  }
  return answer;
}
