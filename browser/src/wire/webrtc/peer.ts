// A browser's `RTCPeerConnection` with the four channels of a wire.

import type { PeerError } from "../../errors";
import { BrokenError, LimitError, RemoteProtocolError } from "../../errors";
import { trim } from "../../protocol/webrtc/candidates";
import { CHANNELS, MAX_CHANNEL_MESSAGE_BYTES } from "../../protocol/webrtc/channels";
import type { Candidate, Description, IceServer } from "../../protocol/webrtc/negotiation";
import { Timer } from "../timing";

export type PeerConnectionClass = typeof RTCPeerConnection;

const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;
/** A far side that leaves closes all channels, one after the other. */
const CLOSING_SECONDS = 0.1;
/** Tracks of one side. */
const MAX_TRACKS = 16;
const PREFIX = "candidate:";

/** Who hears of a connection. */
export interface PeerSink {
  /** One more way to reach this side. */
  candidate(candidate: Candidate): void;
  /** All channels are open. */
  opened(): void;
  message(channel: number, data: Uint8Array): void;
  text(channel: number, text: string): void;
  writable(): void;
  /** It is gone; without an error where the far side left in good order. */
  lost(error: PeerError | undefined): void;
}

export class Peer {
  /** For media, which go beside the channels. */
  readonly connection: RTCPeerConnection;
  /** Of the far side's tracks: mid to id. */
  farTrackIds: Readonly<Record<string, string>> = {};
  isFull = false;
  readonly #sink: PeerSink;
  readonly #channels: RTCDataChannel[] = [];
  readonly #closing = new Timer();
  #hasOpened = false;
  #isEnding = false;

  constructor(
    make: PeerConnectionClass,
    iceServers: readonly IceServer[],
    policy: RTCIceTransportPolicy,
    sink: PeerSink,
  ) {
    this.#sink = sink;
    const servers = iceServers.map(({ urls, username, credential }) => ({ urls: [...urls], username, credential }));
    this.connection = new make({ iceServers: servers, iceTransportPolicy: policy, bundlePolicy: "max-bundle" });
    this.connection.onicecandidate = ({ candidate }) => this.#found(candidate);
    this.connection.onconnectionstatechange = () => this.#changed();
    CHANNELS.forEach((_, id) => this.#open(id));
  }

  /** Largest message that the far side takes; known when open. */
  get maxMessageBytes(): number {
    return Math.min(this.connection.sctp?.maxMessageSize ?? 0, MAX_CHANNEL_MESSAGE_BYTES);
  }

  get bufferedBytes(): number {
    return this.#channels.reduce((bytes, { bufferedAmount }) => bytes + bufferedAmount, 0);
  }

  /** Never waits; what is sent on a channel that has closed alone is lost. */
  send(channel: number, data: Uint8Array): void {
    const open = this.#channels[channel];
    if (open?.readyState === "open") {
      open.send(data as Uint8Array<ArrayBuffer>);
      this.isFull ||= this.bufferedBytes > HIGH_WATER_BYTES;
    }
  }

  /** Hands a word of this wire over, which is no message. */
  sendText(text: string): void {
    this.#channels[1]?.send(text);
  }

  // Descriptions

  async offer(): Promise<Description> {
    await this.connection.setLocalDescription(await this.connection.createOffer());
    return this.#described("offer");
  }

  /** Applies the far side's offer and describes this side. */
  async answer({ sdp, trackIds }: Description): Promise<Description> {
    await this.connection.setRemoteDescription({ type: "offer", sdp });
    this.farTrackIds = trackIds;
    await this.connection.setLocalDescription(await this.connection.createAnswer());
    return this.#described("answer");
  }

  /** Applies the answer to the last offer. */
  async accept({ sdp, trackIds }: Description): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    this.farTrackIds = trackIds;
  }

  #described(kind: "offer" | "answer"): Description {
    const trackIds: Record<string, string> = {};
    for (const { mid, direction, sender } of this.connection.getTransceivers()) {
      if (mid !== null && sender.track !== null && direction.startsWith("send")) {
        trackIds[mid] = sender.track.id;
      }
    }
    return { kind, sdp: trim(this.connection.localDescription?.sdp ?? ""), trackIds };
  }

  /** Tries one more way to reach the far side; that it cannot be tried is nobody's fault. */
  async addCandidate({ candidate, sdpMid, sdpMLineIndex }: Candidate): Promise<void> {
    const text = candidate && PREFIX + candidate;
    await this.connection.addIceCandidate({ candidate: text, sdpMid, sdpMLineIndex }).catch(() => undefined);
  }

  /** All tracks that this side sends or wants to send: id to kind. */
  wanted(): Record<string, string> {
    const wanted: Record<string, string> = {};
    for (const { direction, sender } of this.connection.getTransceivers()) {
      if (sender.track !== null && direction.startsWith("send")) {
        wanted[sender.track.id] = sender.track.kind;
      }
    }
    return wanted;
  }

  /**
   * Makes room in the next offer for all tracks that the far side wants to send: id to kind. Throws
   * `RemoteProtocolError` if they are too many, or of another kind.
   */
  expect(tracks: Readonly<Record<string, string>>): void {
    const kinds = Object.values(tracks);
    if (kinds.length > MAX_TRACKS || kinds.some((kind) => kind !== "audio" && kind !== "video")) {
      throw new RemoteProtocolError(`a request for ${kinds.length} tracks, or of an unknown kind`);
    }
    for (const kind of ["audio", "video"]) {
      // Not "sendrecv": a section that carries a track of this side has no room for another one.
      const ready = this.connection.getTransceivers().filter(({ receiver, direction }) => {
        return receiver.track.kind === kind && direction === "recvonly";
      });
      const wanted = kinds.filter((each) => each === kind).length;
      for (let count = ready.length; count < wanted; count++) {
        this.connection.addTransceiver(kind, { direction: "recvonly" });
      }
    }
  }

  /** Sends what was taken, for so many seconds at most, and frees everything. */
  async close(seconds: number): Promise<void> {
    if (this.#isEnding) {
      return;
    }
    this.#isEnding = true;
    this.#closing.stop();
    this.connection.onicecandidate = null;
    this.connection.onconnectionstatechange = null;
    if (seconds > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, seconds * 1000);
        const left = new Set(this.#channels);
        for (const channel of this.#channels) {
          channel.onclose = () => {
            left.delete(channel);
            if (left.size === 0) {
              clearTimeout(timer);
              resolve();
            }
          };
          channel.close(); // what was sent goes first
        }
      });
    }
    this.connection.close();
  }

  // Events

  #open(id: number): void {
    const { label, init } = CHANNELS[id]!;
    const channel = this.connection.createDataChannel(label, init);
    this.#channels[id] = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES / CHANNELS.length;
    channel.onopen = () => this.#opened();
    channel.onmessage = ({ data }) => this.#came(id, data);
    channel.onbufferedamountlow = () => this.#drained();
    channel.onclose = () => {
      if (!this.#isEnding) {
        this.#closing.set(CLOSING_SECONDS, () => this.#afterClosed());
      }
    };
  }

  #opened(): void {
    if (!this.#hasOpened && this.#channels.every(({ readyState }) => readyState === "open")) {
      this.#hasOpened = true;
      this.#sink.opened();
    }
  }

  #came(id: number, data: unknown): void {
    if (this.#isEnding) {
      return;
    }
    if (typeof data === "string") {
      this.#sink.text(id, data);
      return;
    }
    const message = new Uint8Array(data as ArrayBuffer);
    if (message.length > MAX_CHANNEL_MESSAGE_BYTES) {
      const limit = new LimitError("bytes of a wire message", MAX_CHANNEL_MESSAGE_BYTES, message.length);
      this.#sink.lost(limit);
      return;
    }
    this.#sink.message(id, message);
  }

  #drained(): void {
    if (this.isFull && this.bufferedBytes <= LOW_WATER_BYTES) {
      this.isFull = false;
      this.#sink.writable();
    }
  }

  /** One that closes alone is opened again by both sides; who leaves closes all. */
  #afterClosed(): void {
    if (this.#isEnding) {
      return;
    }
    const closed = CHANNELS.map((_, id) => id).filter((id) => this.#channels[id]!.readyState === "closed");
    if (closed.length === CHANNELS.length) {
      this.#sink.lost(undefined);
    } else {
      closed.forEach((id) => this.#open(id));
    }
  }

  #found(candidate: RTCIceCandidate | null): void {
    const { candidate: text = "", sdpMid = "", sdpMLineIndex = 0 } = candidate ?? {};
    this.#sink.candidate({
      kind: "candidate",
      candidate: text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text,
      sdpMid: sdpMid ?? "",
      sdpMLineIndex: sdpMLineIndex ?? 0,
    });
  }

  #changed(): void {
    const { connectionState } = this.connection;
    if (connectionState === "failed") {
      this.#sink.lost(new BrokenError("ICE or DTLS failed"));
    } else if (connectionState === "closed") {
      this.#sink.lost(new BrokenError("the path to the far side is gone"));
    }
  }
}
