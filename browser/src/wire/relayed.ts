// A wire that the signaling service relays, sealed from end to end: the last resort, where nothing else
// comes about. Loaded where it is wanted.

import { NoRelayError, RemoteProtocolError, UnreachableError } from "../errors";
import { WireKind } from "../protocol/payload";
import type { Refusal } from "../protocol/signaling/messages";
import { Newcomers } from "../protocol/webrtc/newcomers";
import type { NegotiateMessage } from "../protocol/webrtc/negotiation";
import { DiallerHandshake } from "../protocol/websocket/handshake";
import { ListenerHandshake } from "../protocol/websocket/listener";
import { CloseCode } from "../protocol/wire/close-codes";
import type { Wire } from "./base";
import { Sealing } from "./sealing";
import { type Closed, OwnedSocket, type SocketClass, type SocketSink } from "./socket";
import { monotonic } from "./timing";
import { type DialOptions, WebSocketWire } from "./websocket";

const TICKET_BYTES = 16;
/** Wires that others have asked for and that are not open, of a page and of one of those who asked. */
const MAX_COMING = 16;
const COMING_FROM_ONE = 2;
/** Asks of one actor at once and a second: each has this page dial signaling. */
const newcomers = new Newcomers(8, 1);
/** Who comes to whom. */
const coming: string[] = [];

export interface RelayedOptions extends Omit<DialOptions, "address"> {
  /** Of the signaling service: `wss://host/v1/ws`. */
  readonly signaling: string;
  /** Has signaling tell the remote to come. */
  readonly ask: (message: NegotiateMessage) => Promise<void>;
}

/**
 * Asks for a wire to `remote`; settles with it when it is open. Rejects with `NoRelayError` if signaling
 * relays none to it, else as `dialWebSocket` does.
 */
export async function dialRelayed(options: RelayedOptions): Promise<Wire> {
  // Before anybody is asked to come: a browser may not have it.
  const sealing = await Sealing.make(true).catch((error: unknown) => {
    throw new NoRelayError(options.remote.text, `no key can be made here: ${error}`);
  });
  const bytes = crypto.getRandomValues(new Uint8Array(TICKET_BYTES));
  const connectionId = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    await options.ask({ connectionId, exchange: 0, body: { kind: "wire" } });
  } catch (error) {
    const refusal = error instanceof UnreachableError ? (error.cause as Refusal | undefined) : undefined;
    if (refusal?.kind === "refusal" && refusal.code !== CloseCode.TOO_FAST) {
      throw new NoRelayError(options.remote.text, (error as UnreachableError).why);
    }
    throw error;
  }
  const handshake = new DiallerHandshake({ ...options, nonce: sealing.nonce });
  handshake.relayed();
  return open(options, connectionId, sealing, handshake);
}

/**
 * Comes to a wire that the remote has asked for; settles and rejects likewise, also where
 * it asks for too many.
 */
export async function joinRelayed(options: RelayedOptions, ticket: string): Promise<Wire> {
  const pair = `${options.remote} ${options.local}`;
  const ofOne = coming.filter((one) => one === pair).length;
  if (coming.length >= MAX_COMING || ofOne >= COMING_FROM_ONE || !newcomers.admit(pair, monotonic())) {
    throw new UnreachableError(options.remote.text, "it asks for too many relayed wires");
  }
  coming.push(pair);
  try {
    const sealing = await Sealing.make(false);
    const handshake = new ListenerHandshake({ ...options, nonce: sealing.nonce });
    return await open(options, ticket, sealing, handshake);
  } finally {
    coming.splice(coming.indexOf(pair), 1);
  }
}

function open(
  options: RelayedOptions,
  ticket: string,
  sealing: Sealing,
  handshake: DiallerHandshake | ListenerHandshake,
): Promise<Wire> {
  const url = new URL("wire", options.signaling).href;
  const { socket } = options;
  const connect = (sink: SocketSink) => new SealedSocket(socket, url, ticket, sealing, sink);
  return new Promise((resolve, reject) => {
    const wire: WebSocketWire = new WebSocketWire(
      options,
      { kind: WireKind.RELAYED, handshake, connect },
      (error) => (error === undefined ? resolve(wire) : reject(error)),
    );
  });
}

/** A socket whose messages are sealed, in order; it shows its ticket first. */
class SealedSocket implements SocketSink {
  readonly #socket: OwnedSocket;
  /** What goes, and what comes: the last of each, done. */
  #out: Promise<void> = Promise.resolve();
  #in: Promise<void> = Promise.resolve();
  #unsealed = 0;
  #isOver = false;

  constructor(
    make: SocketClass,
    url: string,
    private readonly ticket: string,
    private readonly sealing: Sealing,
    private readonly sink: SocketSink,
  ) {
    this.#socket = new OwnedSocket(make, url, this);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes + this.#unsealed;
  }

  send(frame: Uint8Array): void {
    this.#unsealed += frame.length;
    this.#out = this.#then(this.#out, async () => {
      this.#socket.send(await this.sealing.seal(frame));
      this.#unsealed -= frame.length;
    });
  }

  /** Sends what was taken, and closes; nothing is heard any more. */
  close(code?: number, reason?: string): void {
    this.#isOver = true;
    void this.#out.then(() => this.#socket.close(code, reason));
  }

  // Of the socket

  opened(): void {
    this.#socket.send(new TextEncoder().encode(this.ticket));
    this.sink.opened();
  }

  message(data: Uint8Array | undefined): void {
    this.#in = this.#then(this.#in, async () => {
      if (data === undefined) {
        throw new RemoteProtocolError("a text frame on a wire");
      }
      const frame = await this.sealing.open(data);
      if (!this.#isOver) {
        this.sink.message(frame);
      }
    });
  }

  closed(closed: Closed): void {
    this.#in = this.#then(this.#in, async () => {
      if (!this.#isOver) {
        this.sink.closed(closed);
      }
    });
  }

  #then(before: Promise<void>, work: () => Promise<void>): Promise<void> {
    return before.then(work).catch((error: unknown) => {
      if (!this.#isOver) {
        this.sink.failed?.(error);
      }
    });
  }
}
