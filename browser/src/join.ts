// All that a page needs to be an actor, in one call: signaling, wires, and a peer for each remote.

import { ClosedError, ConfigError, UnreachableError } from "./errors";
import { ActrId } from "./protocol/identity/ids";
import { WireKind } from "./protocol/payload";
import type { WireState } from "./protocol/session/wires/policy";
import { Proofs } from "./protocol/signaling/proofs";
import type { Client } from "./rpc/client";
import { actor, Peer } from "./rpc/peer";
import type { Actor } from "./rpc/server";
import type { Caller, Context, Route } from "./service";
import type { Dialer } from "./transport/wire";
import type { Wire } from "./wire/base";
import { webCrypto } from "./wire/crypto";
import { SignalingClient, type SignalingSink } from "./wire/signaling/client";
import type { Credentials, IdentityOptions } from "./wire/identity/credentials";
import type { RelayedOptions } from "./wire/relayed";
import type { SocketClass } from "./wire/socket";
import type { Relay } from "./wire/webrtc/exchanges";
import type { PeerConnectionClass } from "./wire/webrtc/peer";
import type { SignedRelay } from "./wire/webrtc/signed";
import { WebRtcWires } from "./wire/webrtc/wires";

/** Seconds between two looks at all links, and after which one in which nothing happens is closed. */
const ROUND = 10;
const IDLE = 300;

export interface JoinOptions {
  /** What others may call here: `serveChat(handlers)` of generated code, several of them in one list. */
  readonly serve?: readonly Route[];
  /** Hears of handlers that failed and meant nothing by it; else the console does. */
  readonly failed?: Actor["failed"];
  /** Hears of presence and of signaling itself. */
  readonly sink?: Omit<SignalingSink, "relayed">;
  /** Shown to others; at most 16 entries of 256 bytes. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What proves who this is, where no `identity` does; without both the service must let anybody in. */
  readonly proofs?: Proofs;
  /**
   * A key that the browser keeps, and a certificate of it from this issuer, which is renewed while the
   * page is online: then others must have one too, and only what they have signed is believed.
   */
  readonly identity?: IdentityOptions;
  /**
   * Kinds of wires to dial; WebRTC where there is an `RTCPeerConnection`, else WebSocket, and one that
   * signaling relays where there is no other.
   */
  readonly kinds?: readonly WireKind[];
  /** Hears of wires: tracks of media go beside the channels of a WebRTC wire, on its `connection`. */
  readonly wires?: WireEvents;
  /** The page's own, where nothing is said. */
  readonly socket?: SocketClass;
  readonly connection?: PeerConnectionClass;
}

/** What becomes of wires; what a member throws is logged, and changes nothing. */
export interface WireEvents {
  /** This one is open: dialled here, or by the remote. Of a WebRTC wire `connection` is its own. */
  opened?(wire: Wire): void;
  /** Of each kind of wire to a remote, as it changes. */
  changed?(remote: string, kind: WireKind, state: WireState): void;
}

/**
 * Registers with the signaling service at `url` (`wss://host/v1/ws`) as `id`
 * (`acme:page@7:default`; each tab needs one of its own). Throws `ConfigError` if one of them cannot
 * be used, and rejects as `SignalingClient.start` and `Credentials.open` do.
 */
export async function join(url: string, id: string, options: JoinOptions = {}): Promise<Joined> {
  const own = ActrId.read(id);
  const services = await fingerprints(options.serve ?? []);
  // Loaded where they are wanted: most pages have none.
  const { identity } = options;
  const credentials = identity && (await (await import("./certificates")).Credentials.open(own, identity, options.proofs));
  let joined: Joined | undefined;
  try {
    joined = new Joined(url, own, options, services, credentials);
    await joined.signaling.start();
  } catch (error) {
    await joined?.close();
    credentials?.close();
    throw error;
  }
  return joined;
}

/** An actor that is online, until it is closed. */
export class Joined {
  readonly signaling: SignalingClient;
  readonly #actor: Actor;
  readonly #peers = new Map<string, Peer>();
  readonly #wires: WebRtcWires | undefined;
  /** What comes from others goes through here to the wires: with certificates it is looked at first. */
  readonly #negotiated: Pick<SignedRelay, "receive"> | undefined;
  readonly #credentials: Credentials | undefined;
  readonly #events: WireEvents;
  readonly #dials = new Map<WireKind, (remote: ActrId) => Promise<Wire>>();
  #relayed: ((remote: ActrId, ticket?: string) => Promise<Wire>) | undefined;
  readonly #stop = new AbortController();

  constructor(
    url: string,
    readonly id: ActrId,
    options: JoinOptions,
    services: readonly (readonly [string, string])[],
    credentials?: Credentials,
  ) {
    const { socket = globalThis.WebSocket as SocketClass | undefined, serve = [], proofs, sink, metadata = {} } = options;
    const { connection = globalThis.RTCPeerConnection as PeerConnectionClass | undefined } = options;
    const direct = connection === undefined ? WireKind.WEBSOCKET : WireKind.WEBRTC;
    const { kinds = [direct, WireKind.RELAYED] } = options;
    if (socket === undefined) {
      throw new ConfigError("there is no WebSocket here: give its class as `socket`");
    }
    const log: Actor["failed"] = (error, routeKey) => console.error(`${routeKey} failed:`, error);
    this.#actor = actor(serve, options.failed ?? log);
    this.#credentials = credentials;
    this.#events = options.wires ?? {};
    const incarnation = crypto.getRandomValues(new BigUint64Array(1))[0]! || 1n;
    this.signaling = new SignalingClient({
      url,
      socket,
      registration: { id, incarnation, services, metadata },
      proofs: proofs ?? new Proofs(webCrypto, undefined, credentials),
      sink: this.#sink(sink),
    });
    if (connection !== undefined && kinds.includes(WireKind.WEBRTC)) {
      const relay: Relay = (to, message) => this.signaling.relay(to, message);
      const iceServers = () => this.signaling.iceServers;
      const signed = credentials?.signedRelay(incarnation, {
        incarnationOf: async (remote) => (await this.signaling.lookup(remote))?.incarnation ?? 0n,
        relay,
        receive: (...all) => wires.receive(...all),
        isLive: (remote, connectionId) => wires.knows(remote, connectionId),
        refused: (source, { fault }) => sink?.refused?.(source, `a description of its: ${fault}`),
      });
      const made = { local: id, connection, relay: signed?.relay ?? relay, iceServers, certified: credentials };
      const wires: WebRtcWires = new WebRtcWires(made, (wire) => {
        if (this.#stop.signal.aborted) {
          wire.close();
        } else {
          this.#peer(wire.remote).link.add(this.#opened(wire));
        }
      });
      this.#wires = wires;
      this.#negotiated = signed ?? wires;
      this.#dials.set(WireKind.WEBRTC, async (remote) => this.#opened(await wires.dial(remote)));
    }
    if (kinds.includes(WireKind.WEBSOCKET)) {
      this.#dials.set(WireKind.WEBSOCKET, async (remote) => this.#opened(await this.#dialWebSocket(socket, remote)));
    }
    if (kinds.includes(WireKind.RELAYED)) {
      this.#relayed = async (remote, ticket) => {
        const { dialRelayed, joinRelayed } = await import("./wire/relayed");
        const ask: RelayedOptions["ask"] = (message) => this.signaling.relay(remote, message);
        const whom = { socket, primitives: webCrypto, local: id, remote, certified: credentials };
        const how: RelayedOptions = { ...whom, secret: proofs?.secret, signaling: url, ask };
        return this.#opened(await (ticket === undefined ? dialRelayed(how) : joinRelayed(how, ticket)));
      };
      this.#dials.set(WireKind.RELAYED, this.#relayed);
    }
    if (credentials !== undefined) {
      credentials.returned = () => this.signaling.retry();
    }
    const { signal } = this.#stop;
    globalThis.addEventListener?.("online", () => this.networkChanged(), { signal });
    const round = setInterval(() => this.#attend(), ROUND * 1000);
    signal.addEventListener("abort", () => clearInterval(round));
  }

  #opened(wire: Wire): Wire {
    this.#tell(() => this.#events.opened?.(wire));
    return wire;
  }

  #tell(work: () => void): void {
    try {
      work();
    } catch (error) {
      console.error("a failure in what hears of wires", error);
    }
  }

  /** Member by member: who listens may be of a class. */
  #sink(given: JoinOptions["sink"] = {}): SignalingSink {
    return {
      relayed: (source, message) => {
        if (this.#stop.signal.aborted) {
          return;
        }
        if (message.body.kind === "wire") {
          void this.#come(source, message.connectionId);
        } else {
          this.#negotiated?.receive(source, message);
        }
      },
      presence: (event) => given.presence?.(event),
      state: (state) => given.state?.(state),
      refused: (actor, why) => given.refused?.(actor, why),
      greeted: (time) => given.greeted?.(time),
      warned: (why) => given.warned?.(why),
      ...(given.load && { load: () => given.load!() }),
    };
  }

  /** Another actor has no better way: takes its wire, unless these are too many. */
  async #come(source: ActrId, ticket: string): Promise<void> {
    try {
      const wire = await this.#relayed?.(source, ticket);
      if (wire !== undefined && this.#stop.signal.aborted) {
        wire.close();
      } else if (wire !== undefined) {
        this.#peer(source).link.add(wire);
      }
    } catch {
      // It comes again, or another wire does.
    }
  }

  /** What waits in a link that has no way any more fails; one that nobody uses is closed. */
  #attend(): void {
    for (const { link } of this.#peers.values()) {
      link.health();
      link.closeIfIdle(IDLE);
    }
  }

  /**
   * Calls `remote`, as `acme:room@1:default`, for as long as this actor is online: a link is made when
   * a call wants one, also in place of one that has ended. Calls reject with `ClosedError` once this
   * is closed.
   *
   * @param context of the handler that calls: its deadline, trace and end are handed on
   */
  to(remote: ActrId | string, context?: Context): Caller {
    const id = typeof remote === "string" ? ActrId.read(remote) : remote;
    return calling(() => {
      const peer = this.#peer(id);
      if (!peer.link.isReady) {
        peer.link.dial();
      }
      return peer.client(context);
    });
  }

  /** The device has another network: all that waits for one is tried at once. */
  networkChanged(): void {
    this.signaling.retry();
    this.#peers.forEach((peer) => peer.link.networkChanged());
  }

  /** Leaves signaling at once, for a page may not be given more time, and its links after what was sent has arrived; final, and harmless when called again. */
  async close(): Promise<void> {
    this.#stop.abort();
    const left = this.signaling.close();
    await Promise.all([...this.#peers.values()].map((peer) => peer.link.close()));
    this.#wires?.close(); // those that are no link's yet
    await left;
    this.#credentials?.close();
  }

  #peer(remote: ActrId): Peer {
    if (this.#stop.signal.aborted) {
      throw new ClosedError(`${this.id} is closed`);
    }
    const known = this.#peers.get(remote.text);
    if (known !== undefined) {
      return known;
    }
    const dialers = new Map([...this.#dials].map(([kind, dial]): [WireKind, Dialer] => [kind, () => dial(remote)]));
    const peer: Peer = new Peer(remote.text, {
      actor: this.#actor,
      dialers,
      isSmaller: this.id.isSmallerThan(remote),
      isThrottled: () => globalThis.document?.hidden ?? false,
      wireChanged: (kind, state) => this.#tell(() => this.#events.changed?.(remote.text, kind, state)),
      gone: () => {
        if (this.#peers.get(remote.text) === peer) {
          this.#peers.delete(remote.text);
        }
      },
    });
    this.#peers.set(remote.text, peer);
    return peer;
  }

  async #dialWebSocket(socket: SocketClass, remote: ActrId): Promise<Wire> {
    const address = (await this.signaling.lookup(remote))?.wsAddress;
    if (!address) {
      throw new UnreachableError(remote.text, "it says no address of a WebSocket");
    }
    // Loaded where it is wanted: most pages speak WebRTC.
    const { dialWebSocket } = await import("./wire/websocket");
    return dialWebSocket({ socket, primitives: webCrypto, local: this.id, remote, address, certified: this.#credentials });
  }
}

/** Calls by the link that there is when the call is made, or the first item asked for. */
function calling(client: () => Client): Caller {
  return {
    unary: async (method, request, options) => client().unary(method, request, options),
    tell: async (method, request, options) => client().tell(method, request, options),
    clientStream: async (method, requests, options) => client().clientStream(method, requests, options),
    async *serverStream(method, request, options) {
      yield* client().serverStream(method, request, options);
    },
    async *bidiStream(method, requests, options) {
      yield* client().bidiStream(method, requests, options);
    },
  };
}

/** Name and fingerprint of each service of which something is served. */
async function fingerprints(routes: readonly Route[]): Promise<[string, string][]> {
  const forms = new Map(
    routes.map(({ method }) => [method.routeKey.slice(0, method.routeKey.lastIndexOf(".")), method.form]),
  );
  const found: [string, string][] = [];
  for (const [service, form] of forms) {
    if (form !== undefined) {
      const sum = await webCrypto.sha256(new TextEncoder().encode(form));
      found.push([service, Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("")]);
    }
  }
  return found;
}
