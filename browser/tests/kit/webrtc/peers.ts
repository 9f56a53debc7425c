// Peer connections that connect within one process by what their descriptions say, as a browser's do.

import type { PeerConnectionClass } from "../../../src/wire/webrtc/peer";

const all = new Map<string, FakePeer>();
export const CANDIDATE = "1 1 udp 1 10.0.0.1 5000 typ host";

/** In a task of its own, as events of a browser are. */
function soon(work: () => void): void {
  setTimeout(work, 0);
}

class FakeChannel {
  readyState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = "";
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onbufferedamountlow: (() => void) | null = null;

  constructor(
    readonly peer: FakePeer,
    readonly id: number,
  ) {}

  get far(): FakeChannel | undefined {
    return this.peer.far?.channels.get(this.id);
  }

  open(): void {
    if (this.readyState === "connecting") {
      this.readyState = "open";
      this.onopen?.();
    }
  }

  send(data: Uint8Array | string): void {
    const sent = typeof data === "string" ? data : data.slice().buffer;
    soon(() => this.far?.onmessage?.({ data: sent }));
  }

  close(): void {
    const { far } = this;
    soon(() => {
      this.shut();
      far?.shut();
    });
  }

  shut(): void {
    if (this.readyState !== "closed") {
      this.readyState = "closed";
      this.onclose?.();
    }
  }
}

export class FakePeer {
  readonly id = String(Math.random());
  readonly channels = new Map<number, FakeChannel>();
  readonly tried: unknown[] = [];
  readonly sctp = { maxMessageSize: 262_144 };
  far: FakePeer | undefined;
  connectionState = "new";
  localDescription: { type: string; sdp: string } | null = null;
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;

  constructor() {
    all.set(this.id, this);
  }

  createDataChannel(_label: string, { id }: { id: number }): FakeChannel {
    const channel = new FakeChannel(this, id);
    this.channels.set(id, channel);
    soon(() => this.#connect());
    return channel;
  }

  getTransceivers = (): unknown[] => [];

  async createOffer() {
    return { type: "offer", sdp: `v=0\r\nid=${this.id}\r\nm=application\r\n` };
  }

  async createAnswer() {
    return { ...(await this.createOffer()), type: "answer" };
  }

  async setLocalDescription(description: { type: string; sdp: string }): Promise<void> {
    this.localDescription = description;
    soon(() => {
      const candidate = { candidate: `candidate:${CANDIDATE}`, sdpMid: "0", sdpMLineIndex: 0 };
      this.onicecandidate?.({ candidate });
      this.onicecandidate?.({ candidate: null });
    });
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.far = all.get(/id=(.*)\r\n/.exec(sdp)?.[1] ?? "");
    if (this.far === undefined) {
      throw new TypeError("a description that is none");
    }
    soon(() => this.#connect());
  }

  async addIceCandidate(candidate: unknown): Promise<void> {
    this.tried.push(candidate);
  }

  #connect(): void {
    if (this.far?.far === this && this.connectionState !== "closed") {
      this.connectionState = "connected";
      for (const [id, channel] of this.channels) {
        if (this.far.channels.get(id)?.readyState !== "closed") {
          channel.open();
          this.far.channels.get(id)?.open();
        }
      }
    }
  }

  /** As a browser tells of a path that is gone. */
  fail(): void {
    this.connectionState = "failed";
    this.onconnectionstatechange?.();
  }

  close(): void {
    this.connectionState = "closed";
    const { far } = this;
    soon(() => far?.channels.forEach((channel) => channel.shut()));
  }
}

export const fakePeers = FakePeer as unknown as PeerConnectionClass;
