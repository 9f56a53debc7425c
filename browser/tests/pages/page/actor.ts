// An actor in a page, put together of what the package has.

import type { PeerOptions } from "actr";
import { actor, ActrId, Peer, Proofs, SignalingClient, WebRtcWires, webCrypto, WireKind } from "actr";
import { dialWebSocket } from "actr/websocket";

import { room } from "./chat";

type Wire = Awaited<ReturnType<WebRtcWires["dial"]>> | Awaited<ReturnType<typeof dialWebSocket>>;

export interface Given {
  readonly signaling: string;
  readonly id: string;
  /** The kind of wire that it has. */
  readonly kind: "webrtc" | "websocket";
  /** Where a WebSocket goes in place of what presence says; empty: there. */
  readonly address?: string;
  /** Nothing gets out but to TURN servers. */
  readonly isRelayed?: boolean;
  /** Its connections begin with a section for video in this codec, before there is one for data. */
  readonly codec?: string;
}

/** As it is in a network that lets nothing else through. */
class RelayedConnection extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super({ ...configuration, iceTransportPolicy: "relay" });
  }
}

/** A class of connections that want video first, as those of applications do that were there before. */
function mediaFirst(codec: string): typeof RTCPeerConnection {
  const { codecs } = RTCRtpReceiver.getCapabilities("video")!;
  return class extends RTCPeerConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      const video = this.addTransceiver("video", { direction: "sendrecv" });
      const wanted = codecs.filter(({ mimeType }) => mimeType === `video/${codec}`);
      if (wanted.length === 0) {
        throw new Error(`this browser has no ${codec}`); // none would be all of them
      }
      video.setCodecPreferences(wanted);
    }
  };
}

/** A number of 64 bits: of this load of the page, and no other. */
function newIncarnation(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]! | 1n;
}

export class PageActor {
  /** When its socket to signaling was open, in milliseconds of the page. */
  openedAt = 0;
  readonly id: ActrId;
  readonly client: SignalingClient;
  readonly wires: WebRtcWires;
  /** Wires that are there, of both directions, newest last. */
  readonly open: Wire[] = [];
  /** How often it has dialled. */
  dials = 0;
  /** How many there ever were. */
  made = 0;
  /** Of far sides. */
  readonly tracks: MediaStreamTrack[] = [];
  /** Who has called what here. */
  readonly heard: string[] = [];
  /** Of each kind of wire, as it changed. */
  readonly states: string[] = [];
  private readonly peers = new Map<string, Peer>();
  private readonly changed: (() => void)[] = [];
  private readonly actor = actor(room(this.heard), (error) => console.error("a handler failed", error));

  constructor(private readonly given: Given) {
    this.id = ActrId.parse(given.id);
    this.client = new SignalingClient({
      url: given.signaling,
      socket: WebSocket,
      registration: { id: this.id, incarnation: newIncarnation(), services: [["demo.Chat", "page"]] },
      proofs: new Proofs(webCrypto),
      sink: {
        relayed: (source, message) => {
          if (given.kind === "webrtc") {
            this.wires.receive(source, message);
          } // else as a client without WebRTC, which leaves offers unanswered
        },
        state: (state) => this.change(`signaling ${state}`),
        greeted: () => (this.openedAt ||= performance.now()), // it speaks first, as soon as it is open
      },
    });
    this.wires = new WebRtcWires(
      {
        local: this.id,
        connection: given.isRelayed ? RelayedConnection : given.codec ? mediaFirst(given.codec) : RTCPeerConnection,
        relay: (to, message) => this.client.relay(to, message),
        iceServers: () => this.client.iceServers,
      },
      (wire) => this.peer(wire.remote).link.add(this.keep(wire)),
    );
  }

  peer(remote: ActrId): Peer {
    let peer = this.peers.get(remote.text);
    if (peer === undefined) {
      const kind = this.given.kind === "webrtc" ? WireKind.WEBRTC : WireKind.WEBSOCKET;
      const options: PeerOptions = {
        isSmaller: this.id.isSmallerThan(remote),
        dialers: new Map([[kind, async () => this.keep(await this.dial(remote))]]),
        isThrottled: () => document.hidden,
        actor: this.actor,
        gone: () => this.peers.delete(remote.text),
        wireChanged: (kind, state) => this.change(`${kind} ${state}`),
      };
      peer = new Peer(remote.text, options);
      this.peers.set(remote.text, peer);
    }
    return peer;
  }

  private async dial(remote: ActrId): Promise<Wire> {
    this.dials += 1;
    if (this.given.kind === "webrtc") {
      return this.wires.dial(remote);
    }
    const found = await this.client.lookup(remote);
    const address = this.given.address || (found?.wsAddress ?? "");
    return dialWebSocket({ socket: WebSocket, primitives: webCrypto, local: this.id, remote, address });
  }

  /** Media go beside the channels of a wire: its newest one. */
  get connected(): Extract<Wire, { connection: unknown }> {
    const wire = this.open.at(-1);
    if (wire === undefined || !("connection" in wire)) {
      throw new Error("there is no WebRTC wire");
    }
    return wire;
  }

  private keep<T extends Wire>(wire: T): T {
    if ("connection" in wire) {
      wire.connection.ontrack = ({ track }) => {
        this.tracks.push(track);
        this.change(`track ${track.kind}`);
      };
    }
    this.made += 1;
    this.open.push(wire);
    return wire;
  }

  /** Calls a remote; dials it where there is no wire. */
  caller(text: string) {
    const peer = this.peer(ActrId.parse(text));
    peer.link.dial();
    return peer.client();
  }

  private change(state: string): void {
    this.states.push(state);
    this.changed.splice(0).forEach((wake) => wake());
  }

  async until(state: string): Promise<void> {
    while (!this.states.includes(state)) {
      await new Promise<void>((resolve) => this.changed.push(resolve));
    }
  }

  /** Waits for a wire that works, and is none of the first `before`. */
  async ready(text: string, before: number): Promise<void> {
    const { link } = this.peer(ActrId.parse(text));
    while (!link.isReady || this.made <= before) {
      await new Promise<void>((resolve) => this.changed.push(resolve));
    }
  }

  /** Ends all wires, as nobody meant it: what was on its way is lost. */
  cut(): void {
    for (const wire of this.open.splice(0)) {
      if ("connection" in wire) {
        wire.connection.close();
      } else {
        wire.close();
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.peers.values()].map((peer) => peer.link.close()));
    await this.client.close();
  }
}
