// One console on the realm: an actor that nobody sees, serves nothing, and may look where it is let.

import {
  actor,
  ActrId,
  type CallOptions,
  type Caller,
  ClosedError,
  Peer,
  Proofs,
  SignalingClient,
  WebRtcWires,
  webCrypto,
  WireKind,
} from "actr";

import type { Presence, PresenceEvent } from "../../src/protocol/signaling/presence";
import type { SignalingState } from "../../src/wire/signaling/upkeep";
import type { Wire } from "../../src/wire/base";
import type { Relay } from "../../src/wire/webrtc/exchanges";
import type { WebRtcOptions, WebRtcWire } from "../../src/wire/webrtc/wire";
import { type Credentials, enrol, type Leave } from "./certified";

/** Seconds between two looks at the links, and after which one that nobody uses is closed. */
const ROUND = 5;
const IDLE = 20;

/** What the service says of itself to its console. */
export interface About {
  readonly version: string;
  /** With what actors prove who they are. */
  readonly proof: "none" | "secret" | "certificate";
  /** Path of the issuer, of this origin. */
  readonly issuer: string;
}

/** Who hears what becomes of the realm. */
export interface SessionSink {
  presence(event: PresenceEvent): void;
  state(state: SignalingState): void;
  /** Something that is not believed, or is refused: for people. */
  warned(text: string): void;
}

export interface SessionOptions {
  /** Of the page: `http://localhost:8080`. */
  readonly origin: string;
  readonly realm: string;
  readonly about: About;
  /** None where nobody proves anything. */
  readonly leave: Leave | undefined;
  readonly sink: SessionSink;
}

type SignedRelay = import("../../src/wire/webrtc/signed").SignedRelay;

/** Registered until it is closed. */
export class Session {
  readonly signaling: SignalingClient;
  readonly #wires: WebRtcWires;
  readonly #peers = new Map<string, Peer>();
  readonly #actor = actor([]);
  readonly #incarnation = newIncarnation();
  /** The last open wire to each remote: it has the page's own connection. */
  readonly #open = new Map<string, Wire>();
  readonly #round = setInterval(() => this.#attend(), ROUND * 1000);
  /** Signs what goes to connections, and checks what comes; undefined: nobody does. */
  readonly #signed: SignedRelay | undefined;
  #isClosed = false;

  private constructor(
    readonly id: ActrId,
    options: SessionOptions,
    private readonly certified: Credentials | undefined,
  ) {
    const { about, leave, sink, origin } = options;
    const secret = about.proof === "secret" && leave ? new TextEncoder().encode(leave.text) : undefined;
    this.signaling = new SignalingClient({
      url: `${origin.replace(/^http/, "ws")}/v1/ws`,
      socket: WebSocket,
      registration: { id, incarnation: this.#incarnation, isHidden: true },
      proofs: new Proofs(webCrypto, secret, certified),
      sink: {
        relayed: (source, message) => {
          if (this.#signed === undefined) {
            this.#wires.receive(source, message);
          } else {
            this.#signed.receive(source, message);
          }
        },
        presence: (event) => sink.presence(event),
        state: (state) => sink.state(state),
        refused: (who, why) => sink.warned(`${who} is not believed: ${why}`),
        warned: (why) => sink.warned(why),
      },
    });
    const relay: Relay = (to, message) => this.signaling.relay(to, message);
    this.#signed = certified?.signedRelay(this.#incarnation, {
      incarnationOf: async (remote) => (await this.signaling.lookup(remote))?.incarnation ?? 0n,
      relay,
      receive: (...all) => this.#wires.receive(...all),
      isLive: (remote, connection) => this.#wires.knows(remote, connection),
      refused: (source, { fault }) => sink.warned(`a description of ${source} is dropped: ${fault}`),
    });
    if (certified !== undefined) {
      certified.returned = () => this.signaling.retry();
    }
    const wireOptions: WebRtcOptions = {
      local: id,
      connection: RTCPeerConnection,
      relay: this.#signed?.relay ?? relay,
      iceServers: () => this.signaling.iceServers,
      certified,
    };
    // Nobody has a reason to dial a console: it is reached by those it has reached.
    this.#wires = new WebRtcWires(wireOptions, (wire: Wire) => {
      const peer = this.#peers.get(wire.remote.text);
      if (peer === undefined) {
        wire.close();
      } else {
        this.#open.set(wire.remote.text, wire);
        peer.link.add(wire);
      }
    });
  }

  /**
   * Registers, and subscribes to the whole realm; `present` has who is there. Rejects as
   * `SignalingClient.start` and `enrol` do.
   */
  static async join(options: SessionOptions): Promise<{ session: Session; present: readonly Presence[] }> {
    const { about, leave, origin, realm } = options;
    const id = new ActrId("actr", "console", newInstance(), realm);
    const certified =
      about.proof === "certificate" && leave !== undefined
        ? await enrol(origin + about.issuer, id, leave, options.sink.warned)
        : undefined;
    const session = new Session(id, options, certified);
    try {
      await session.signaling.start();
      return { session, present: await session.signaling.subscribe() };
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Calls one actor; a link is made when a call wants one, and closed when none does any more. */
  to(remote: string): Caller {
    const client = () => {
      const peer = this.#peer(remote);
      if (!peer.link.isReady) {
        peer.link.dial();
      }
      return peer.client();
    };
    return {
      unary: async (method, request, options?: CallOptions) => client().unary(method, request, options),
      tell: async (method, request, options?: CallOptions) => client().tell(method, request, options),
      clientStream: async (method, requests, options) => client().clientStream(method, requests, options),
      async *serverStream(method, request, options) {
        yield* client().serverStream(method, request, options);
      },
      async *bidiStream(method, requests, options) {
        yield* client().bidiStream(method, requests, options);
      },
    };
  }

  /** The WebRTC wire to an actor that was called, for media beside its calls; undefined: none is open. */
  wireTo(remote: string): WebRtcWire | undefined {
    return this.#open.get(remote) as WebRtcWire | undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#round);
    this.certified?.close();
    await Promise.all([...this.#peers.values()].map((peer) => peer.link.close()));
    this.#wires.close();
    await this.signaling.close();
  }

  #peer(remote: string): Peer {
    if (this.#isClosed) {
      throw new ClosedError("the console has left");
    }
    const known = this.#peers.get(remote);
    if (known !== undefined) {
      return known;
    }
    const id = ActrId.parse(remote);
    const peer: Peer = new Peer(remote, {
      actor: this.#actor,
      dialers: new Map([[WireKind.WEBRTC, () => this.#dial(id)]]),
      isSmaller: this.id.isSmallerThan(id),
      isThrottled: () => document.hidden,
      gone: () => {
        if (this.#peers.get(remote) === peer) {
          this.#peers.delete(remote);
          this.#open.delete(remote);
        }
      },
    });
    this.#peers.set(remote, peer);
    return peer;
  }

  async #dial(remote: ActrId): Promise<Wire> {
    const wire = await this.#wires.dial(remote);
    this.#open.set(remote.text, wire);
    return wire;
  }

  #attend(): void {
    for (const { link } of this.#peers.values()) {
      link.health();
      link.closeIfIdle(IDLE);
    }
  }
}

function newIncarnation(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]! || 1n;
}

/** 8 hex digits: each page is one of its own. */
function newInstance(): string {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return number!.toString(16).padStart(8, "0");
}
