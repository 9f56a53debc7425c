// A WebSocket as a wire: the peers' handshake, then one frame for each message.

import type { PeerError } from "../errors";
import { BrokenError, CertificateError, LimitError, RemoteProtocolError, UnreachableError } from "../errors";
import type { Certificate } from "../protocol/identity/certificates";
import type { Certified, Primitives } from "../protocol/identity/identity";
import type { ActrId } from "../protocol/identity/ids";
import { MAX_WIRE_MESSAGE_BYTES, WireKind } from "../protocol/payload";
import { DiallerHandshake, NONCE_BYTES } from "../protocol/websocket/handshake";
import type { ListenerHandshake } from "../protocol/websocket/listener";
import { decode, encode, HANDSHAKE } from "../protocol/websocket/lane-frames";
import { required, wayOf } from "../protocol/websocket/proofs";
import { readRenewal, writeRenewal } from "../protocol/websocket/renewals";
import { CloseCode } from "../protocol/wire/close-codes";
import type { Wire, WireSink } from "./base";
import { CHANNELS } from "./base";
import { Parking } from "./parking";
import { Renewing } from "./renewing";
import type { Closed, SocketClass, SocketSink } from "./socket";
import { OwnedSocket } from "./socket";
import { Timer } from "./timing";

const PATH = "/v1/wire";
/** From the dial to the welcome. */
const OPEN_SECONDS = 5;
/** Frames that come while a proof is looked at. */
const MAX_WAITING = 64;
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;
/** Between two looks at what is buffered: a browser tells nobody when that falls. */
const LOOK_SECONDS = 0.005;

export interface DialOptions {
  readonly socket: SocketClass;
  readonly primitives: Primitives;
  readonly local: ActrId;
  readonly remote: ActrId;
  /** As the presence of the remote says. */
  readonly address: string;
  /** The realm secret; undefined in development mode. */
  readonly secret?: Uint8Array | undefined;
  readonly certified?: Certified | undefined;
}

/**
 * Dials an actor; settles with an open wire. Rejects with `UnreachableError` if none comes about, and
 * with a `RemoteProtocolError` if the far side does not prove what is required here.
 */
export function dialWebSocket(options: DialOptions): Promise<Wire> {
  return new Promise((resolve, reject) => {
    let url: string;
    try {
      url = urlOf(options);
    } catch (error) {
      reject(error);
      return;
    }
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const wire: WebSocketWire = new WebSocketWire(
      options,
      {
        kind: WireKind.WEBSOCKET,
        handshake: new DiallerHandshake({ ...options, nonce }),
        connect: (sink) => new OwnedSocket(options.socket, url, sink),
      },
      (error) => (error === undefined ? resolve(wire) : reject(error)),
    );
  });
}

/** Another actor's word: only scheme, host and port of it are used. */
function urlOf({ address, remote, secret, certified }: DialOptions): string {
  let url: URL | undefined;
  try {
    url = new URL(address);
  } catch {
    // As one of another scheme.
  }
  const isPlain = url?.protocol === "ws:" || url?.protocol === "wss:";
  const extra = `${url?.username}${url?.password}${url?.search}${url?.hash}`;
  if (url === undefined || !isPlain || extra !== "" || !["", "/", PATH].includes(url.pathname)) {
    throw new UnreachableError(remote.text, "its address is not a ws:// or wss:// address");
  }
  const scheme = url.protocol === "ws:" ? "ws" : "wss";
  const way = wayOf(required(secret, certified), certified !== undefined, scheme);
  if (way === "refused") {
    throw new UnreachableError(remote.text, "certificates are required, and its address is without TLS");
  }
  if (way === "by key") {
    throw new UnreachableError(remote.text, "its TLS is with its own key, which no browser can check");
  }
  return `${url.protocol}//${url.host}${PATH}`;
}

/** What carries a wire's frames, and how its two ends learn who the other is. */
export interface Carried {
  readonly kind: WireKind;
  readonly handshake: DiallerHandshake | ListenerHandshake;
  readonly connect: (sink: SocketSink) => Pick<OwnedSocket, "bufferedBytes" | "send" | "close">;
}

export class WebSocketWire implements Wire {
  readonly kind: WireKind;
  readonly wasDialled: boolean;
  readonly remote: ActrId;
  maxMessageBytes = 0;
  isFull = false;
  #phase: "greeting" | "open" | "closed" = "greeting";
  readonly #options: Pick<DialOptions, "remote" | "certified">;
  readonly #handshake: Carried["handshake"];
  readonly #socket: ReturnType<Carried["connect"]>;
  readonly #parking = new Parking(this);
  readonly #renewing: Renewing;
  readonly #timer = new Timer();
  /** Frames, and texts, that come while one before them is looked at. */
  readonly #waiting: { frame: Uint8Array | undefined }[] = [];
  #isGreeting = false;
  /** The upgrade was answered well. */
  #hasOpened = false;
  /** Who dials is told once. */
  readonly #settle: (error?: PeerError) => void;

  constructor(
    options: Pick<DialOptions, "remote" | "certified">,
    { kind, handshake, connect }: Carried,
    settle: (error?: PeerError) => void,
  ) {
    this.kind = kind;
    this.wasDialled = handshake instanceof DiallerHandshake;
    this.#options = options;
    this.remote = options.remote;
    this.#settle = settle;
    this.#handshake = handshake;
    this.#renewing = new Renewing(
      options.certified,
      (certificate) => this.#socket.send(encode(HANDSHAKE, writeRenewal(certificate))),
      (error) => this.#fail(error),
    );
    this.#socket = connect(this);
    this.#timer.set(OPEN_SECONDS, () => {
      const error = new UnreachableError(this.remote.text, `no handshake within ${OPEN_SECONDS} s`);
      this.#end(error, CloseCode.TIMED_OUT, error.why);
    });
  }

  get certificate(): Certificate | undefined {
    return this.#renewing.certificate;
  }

  get bufferedBytes(): number {
    return this.#phase === "open" ? this.#socket.bufferedBytes : 0;
  }

  attach(sink: WireSink): void {
    this.#guard(() => this.#parking.attach(sink));
  }

  send(channel: number, data: Uint8Array): void {
    if (this.#phase !== "open") {
      throw new BrokenError(`the WebSocket to ${this.remote} is closed`);
    }
    if (data.length > this.maxMessageBytes) {
      throw new LimitError("bytes of a wire message", this.maxMessageBytes, data.length);
    }
    this.#socket.send(encode(channel, data));
    if (!this.isFull && this.#socket.bufferedBytes > HIGH_WATER_BYTES) {
      this.isFull = true;
      this.#timer.set(LOOK_SECONDS, () => this.#look());
    }
  }

  close(): void {
    this.#end(undefined, CloseCode.NORMAL, "");
  }

  // Of the socket

  opened(): void {
    this.#hasOpened = true;
    const first = this.#handshake.start();
    if (first.length > 0) {
      this.#socket.send(encode(HANDSHAKE, first));
    }
  }

  /** What came is not what the far side has sent. */
  failed(error: unknown): void {
    this.#fail(error);
  }

  message(frame: Uint8Array | undefined): void {
    if (this.#phase === "open" && !this.#isGreeting) {
      this.#guard(() => this.#take(frame));
    } else if (this.#waiting.length === MAX_WAITING) {
      this.#fail(new LimitError("frames before the handshake", MAX_WAITING, MAX_WAITING + 1));
    } else {
      this.#waiting.push({ frame });
      void this.#greet();
    }
  }

  closed({ code, reason }: Closed): void {
    const why = `${code ?? ""} ${reason}`.trim();
    if (this.#phase === "greeting") {
      const lost = this.#hasOpened ? "the connection was lost in the handshake" : noConnection();
      this.#end(new UnreachableError(this.remote.text, code === undefined ? lost : `refused with ${why}`));
    } else if (code === undefined) {
      this.#end(new BrokenError(`the connection to ${this.remote} was lost`));
    } else {
      // 1005: a close frame without a code.
      const isClean = code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY || code === 1005;
      this.#end(isClean ? undefined : new BrokenError(`${this.remote} closed the WebSocket with ${why}`));
    }
  }

  // What follows

  /** Takes what waits, one frame after the other: proofs are looked at in between. */
  async #greet(): Promise<void> {
    if (this.#isGreeting) {
      return;
    }
    this.#isGreeting = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (this.#phase === "open") {
          this.#take(next.frame);
        } else if (this.#phase === "greeting") {
          await this.#step(next.frame);
        }
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isGreeting = false;
  }

  async #step(frame: Uint8Array | undefined): Promise<void> {
    const { type, data } = decode(binary(frame));
    if (type !== HANDSHAKE) {
      throw new RemoteProtocolError(`a frame of type ${type} in the handshake`);
    }
    const outcome = await this.#handshake.receive(data);
    if (this.#phase !== "greeting") {
      return;
    }
    if (outcome.step?.length) {
      this.#socket.send(encode(HANDSHAKE, outcome.step));
    }
    if (outcome.kind === "refused") {
      this.#end(outcome.error, outcome.code, outcome.error.message);
    }
    if (outcome.kind !== "accepted") {
      return;
    }
    this.#phase = "open";
    this.#timer.stop();
    this.maxMessageBytes = Math.min(outcome.messageBytes, MAX_WIRE_MESSAGE_BYTES[this.kind]);
    const shown = this.#options.certified?.identity.certificate ?? "";
    this.#renewing.begin(this.remote, outcome.certificate, shown);
    this.#settle();
  }

  #take(frame: Uint8Array | undefined): void {
    const { type, data } = decode(binary(frame));
    if (type < CHANNELS) {
      this.#parking.deliver(type, data);
    } else if (type === HANDSHAKE) {
      this.#renewing.take(readRenewal(data));
    } else {
      throw new RemoteProtocolError(`a frame of type ${type}`);
    }
  }

  #look(): void {
    if (this.#phase !== "open") {
      return;
    }
    if (this.#socket.bufferedBytes > LOW_WATER_BYTES) {
      this.#timer.set(LOOK_SECONDS, () => this.#look());
    } else {
      this.isFull = false;
      this.#guard(() => this.#parking.writable());
    }
  }

  /** What the sink throws ends the wire, and nothing else. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (error instanceof UnreachableError) {
      this.#end(error, CloseCode.NORMAL, ""); // the far side has said no
    } else if (error instanceof RemoteProtocolError || error instanceof LimitError) {
      const code = error instanceof LimitError ? CloseCode.TOO_BIG : CloseCode.BAD_MESSAGE;
      const isCertificate = error instanceof CertificateError;
      this.#end(error, isCertificate ? CloseCode.UNAUTHENTICATED : code, error.message);
    } else {
      console.error("a failure in what uses a wire", error);
      const cause = error;
      this.#end(new BrokenError(`closed by a failure on this side: ${error}`, { cause }), CloseCode.NORMAL, "");
    }
  }

  /** @param code to close with; undefined: it is closed already */
  #end(error: PeerError | undefined, code?: CloseCode, reason = ""): void {
    if (this.#phase === "closed") {
      return;
    }
    const wasOpen = this.#phase === "open";
    this.#phase = "closed";
    this.isFull = false;
    this.#timer.stop();
    this.#renewing.stop();
    if (code !== undefined) {
      this.#socket.close(code, reason);
    }
    this.#parking.closed(error);
    if (!wasOpen) {
      this.#settle(error ?? new UnreachableError(this.remote.text, "closed while connecting"));
    }
  }
}

function binary(frame: Uint8Array | undefined): Uint8Array {
  if (frame === undefined) {
    throw new RemoteProtocolError("a text frame on a wire");
  }
  return frame;
}

/** A browser tells a page no more than that there is none. */
function noConnection(): string {
  const origin: string | undefined = globalThis.location?.origin;
  const pages = origin === undefined ? "" : `, or it does not allow pages of ${origin} (wires.allowed_origins)`;
  return `no connection: nobody listens at its address${pages}`;
}
