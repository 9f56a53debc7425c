// One WebRTC connection as a wire.
//
//     connecting ──▶ open ──▶ closing ──▶ closed
//          └───────────┴──────────────────────▲
//
// A connection is freed at once when it ends for a fault, and what the far side should know goes by way
// of signaling; it is closing only while what was sent is flushed.

import type { PeerError } from "../../errors";
import { BrokenError, DeadlineError, LimitError, RemoteProtocolError } from "../../errors";
import { utf8 } from "../../protocol/bytes";
import type { Certificate } from "../../protocol/identity/certificates";
import type { ActrId } from "../../protocol/identity/ids";
import { WIRE_MESSAGE_BYTES, WireKind } from "../../protocol/payload";
import type { IceServer, NegotiateMessage } from "../../protocol/webrtc/negotiation";
import { roleOf } from "../../protocol/webrtc/negotiation";
import type { Wire, WireSink } from "../base";
import { Parking } from "../parking";
import type { Renewing } from "../renewing";
import { Timer } from "../timing";
import type { Relay } from "./exchanges";
import { Exchanges } from "./exchanges";
import type { PeerConnectionClass, PeerSink } from "./peer";
import { Peer } from "./peer";

const FLUSH_SECONDS = 2;
const CONNECT_SECONDS = 8;
/** Channel of words: only there may be texts, the next certificates. */
const WORDS = 1;

/** What all connections of a process are made with. */
export interface WebRtcOptions {
  readonly local: ActrId;
  readonly connection: PeerConnectionClass;
  readonly relay: Relay;
  /** Asked for each connection, for credentials expire. */
  readonly iceServers: () => readonly IceServer[];
  readonly icePolicy?: RTCIceTransportPolicy;
  /** What this process has to prove itself by certificate: it keeps those of open wires fresh. */
  readonly certified?: Renewer | undefined;
}

/** Of who has certificates, which most pages have not: the code comes with them. */
export interface Renewer {
  /** As of `Renewing`. */
  renewing(send: (certificate: Uint8Array) => void, ended: (error: PeerError) => void): Renewing;
}

/** Who made a wire hears of its life here; the sink hears of its traffic. */
export interface Owner {
  opened(wire: WebRtcWire): void;
  /** Told once, whether it was ever open or not. */
  ended(wire: WebRtcWire, error: PeerError | undefined): void;
}

/** A connection to `remote`, a wire once it is open. */
export class WebRtcWire implements Wire, PeerSink {
  readonly kind = WireKind.WEBRTC;
  wasDialled = false;
  maxMessageBytes = 0; // known when open
  readonly #owner: Owner;
  readonly #peer: Peer;
  readonly #exchanges: Exchanges;
  readonly #parking = new Parking(this);
  readonly #renewing: Renewing | undefined;
  readonly #timer = new Timer();
  #phase: "connecting" | "open" | "closing" | "closed" = "connecting";
  #describedBy: Certificate | undefined;

  /** @param connectionId chosen by the offerer; the same on both sides */
  constructor(
    readonly connectionId: string,
    readonly remote: ActrId,
    options: WebRtcOptions,
    owner: Owner,
  ) {
    this.#owner = owner;
    const { local, connection, relay, iceServers, icePolicy = "all", certified } = options;
    this.#peer = new Peer(connection, iceServers(), icePolicy, this);
    const role = roleOf(local, remote);
    this.#exchanges = new Exchanges(connectionId, remote, role, this.#peer, relay, (error) => this.fail(error));
    this.#renewing = certified?.renewing(
      (certificate) => this.#peer.sendText(String.fromCharCode(...certificate)),
      (error) => this.fail(error),
    );
    this.#timer.set(CONNECT_SECONDS, () => {
      this.fail(new DeadlineError(`no WebRTC connection within ${CONNECT_SECONDS} s`));
    });
    if (role === "offerer") {
      this.#exchanges.changed();
    }
  }

  // What a wire is

  get certificate(): Certificate | undefined {
    return this.#renewing?.certificate ?? this.#describedBy;
  }

  get bufferedBytes(): number {
    return this.#phase === "open" ? this.#peer.bufferedBytes : 0;
  }

  get isFull(): boolean {
    return this.#phase === "open" && this.#peer.isFull;
  }

  attach(sink: WireSink): void {
    this.#guard(() => this.#parking.attach(sink));
  }

  send(channel: number, data: Uint8Array): void {
    if (this.#phase !== "open") {
      throw new BrokenError(`the WebRTC connection to ${this.remote} is closed`);
    }
    if (data.length > this.maxMessageBytes) {
      throw new LimitError("bytes of a wire message", this.maxMessageBytes, data.length);
    }
    this.#peer.send(channel, data);
  }

  close(): void {
    if (this.#phase === "connecting") {
      this.#end(undefined, 0, "closed while connecting");
    } else if (this.#phase === "open") {
      this.#phase = "closing";
      this.#free(FLUSH_SECONDS, "").then(() => this.#tell(undefined), () => this.#tell(undefined));
    }
  }

  // Beside what a wire is

  /** For media, which go beside the channels; `renegotiate` after a change. */
  get connection(): RTCPeerConnection {
    return this.#peer.connection;
  }

  /** Of the far side's tracks: mid to id. */
  get farTrackIds(): Readonly<Record<string, string>> {
    return this.#peer.farTrackIds;
  }

  renegotiate(): void {
    this.#exchanges.changed();
  }

  get isConnecting(): boolean {
    return this.#phase === "connecting";
  }

  /** Whether nothing has come from the far side yet. */
  get isUnanswered(): boolean {
    return this.isConnecting && !this.#exchanges.isDescribed;
  }

  /** Says again what was said: the far side may be another process by now. */
  repeatOffer(): void {
    this.#exchanges.repeat();
  }

  /**
   * Takes one message of the far side from signaling.
   *
   * @param certificate whose key has signed it. That of the first description is the wire's: it says
   *   whose DTLS is at the far end, and no later one changes that.
   */
  receive(message: NegotiateMessage, certificate?: Certificate): void {
    this.#describedBy ??= certificate;
    const { body } = message;
    if (body.kind === "bye") {
      const error = new BrokenError(`${this.remote} gave it up: ${body.reason.slice(0, 200)}`);
      this.#end(error, 0, "");
    } else if (this.#phase === "connecting" || this.#phase === "open") {
      this.#exchanges.receive(message);
    }
  }

  // Events of the peer connection

  candidate(...all: Parameters<PeerSink["candidate"]>): void {
    this.#exchanges.candidate(...all);
  }

  opened(): void {
    if (this.#phase === "connecting") {
      this.#phase = "open";
      this.#timer.stop();
      // The channels take more; a session of the far side takes this.
      this.maxMessageBytes = Math.min(this.#peer.maxMessageBytes, WIRE_MESSAGE_BYTES);
      this.#exchanges.opened();
      // What was shown may be some seconds old: the newest goes out once more.
      this.#renewing?.begin(this.remote, this.#describedBy, "");
      this.#owner.opened(this);
    }
  }

  message(channel: number, data: Uint8Array): void {
    if (this.#phase === "connecting" || this.#phase === "open") {
      this.#guard(() => this.#parking.deliver(channel, data));
    }
  }

  text(channel: number, text: string): void {
    if (channel !== WORDS || this.#renewing === undefined) {
      this.fail(new RemoteProtocolError(`a text on channel ${channel}`));
    } else if (this.#phase === "open") {
      this.#renewing.take(utf8(text));
    }
  }

  writable(): void {
    this.#guard(() => this.#parking.writable());
  }

  lost(error: PeerError | undefined): void {
    this.#end(error, 0, error instanceof LimitError ? error.message : "");
  }

  // What ends it here

  /** Closes at once for what is wrong with it or the far side, which is told. */
  fail(error: PeerError): void {
    this.#end(error, 0, error.message);
  }

  /** What the sink throws ends the wire, and nothing else. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof RemoteProtocolError || error instanceof LimitError) {
        this.fail(error);
      } else {
        console.error("a failure in what uses a wire", error);
        const failure = new BrokenError(`closed by a failure on this side: ${error}`, { cause: error });
        this.#end(failure, 0, "failure on this side");
      }
    }
  }

  #end(error: PeerError | undefined, flushSeconds: number, reason: string): void {
    if (this.#phase === "connecting" || this.#phase === "open") {
      this.#phase = "closing";
      void this.#free(flushSeconds, reason);
      this.#tell(error);
    }
  }

  #tell(error: PeerError | undefined): void {
    this.#phase = "closed";
    this.#owner.ended(this, error);
    this.#parking.closed(error);
  }

  /** @param reason for the far side; empty: it need not be told */
  async #free(flushSeconds: number, reason: string): Promise<void> {
    this.#timer.stop();
    this.#renewing?.stop();
    this.#exchanges.end();
    await this.#peer.close(flushSeconds);
    if (reason !== "") {
      await this.#exchanges.bye(reason.slice(0, 200));
    }
  }
}
