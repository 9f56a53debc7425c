// All WebRTC connections of a process: dialling, answering, and which message is for which.
//
// Of two actors the smaller id makes the offers, whoever wants the connection; the other asks it for
// one (`protocol/webrtc/negotiation.ts`). A connection has an id, chosen by the offerer: a new one
// stands beside the old until that ends (make before break), and no message can reach another.

import type { PeerError } from "../../errors";
import { BusyError, UnreachableError } from "../../errors";
import { characters } from "../../protocol/bytes";
import type { Certificate } from "../../protocol/identity/certificates";
import type { ActrId } from "../../protocol/identity/ids";
import { EarlyCandidates } from "../../protocol/webrtc/candidates";
import type { NegotiateMessage } from "../../protocol/webrtc/negotiation";
import { RequestCause, roleOf } from "../../protocol/webrtc/negotiation";
import { Newcomers } from "../../protocol/webrtc/newcomers";
import type { Wire } from "../base";
import { monotonic, within } from "../timing";
import type { Owner, WebRtcOptions } from "./wire";
import { WebRtcWire } from "./wire";

const CONNECT_SECONDS = 8;
/** Old ones are given up for new ones: a process that restarts often leaves some behind. */
const MAX_CONNECTIONS_PER_REMOTE = 4;
/** Of those that far sides want; dials of our own are beside them. */
const MAX_CONNECTING = 64;
/** Connections that one remote wants: each costs milliseconds, whatever becomes of it. */
const NEW_AT_ONCE = 16;
const NEW_A_SECOND = 4;
const MAX_ID_CHARACTERS = 64;

/** One caller of `dial`, and the connection made for it, once known. */
interface Dial {
  wire: WebRtcWire | undefined;
  readonly opened: (wire: WebRtcWire) => void;
  readonly failed: (error: PeerError) => void;
}

export class WebRtcWires implements Owner {
  /** Messages from signaling that belong to no connection of ours. */
  dropped = 0;
  readonly #wires = new Map<string, WebRtcWire>();
  readonly #dials = new Map<string, Dial>();
  readonly #early = new EarlyCandidates();
  readonly #newcomers = new Newcomers(NEW_AT_ONCE, NEW_A_SECOND);

  /** @param onWire given each open wire that the far side asked for */
  constructor(
    readonly options: WebRtcOptions,
    readonly onWire: (wire: Wire) => void,
  ) {}

  /**
   * Makes a new connection, beside those that there are; settles when it is open. Rejects with
   * `BusyError` if a dial to `remote` is under way, and with `UnreachableError` if it is not open in
   * time, or fails before.
   */
  async dial(remote: ActrId, cause = RequestCause.CONNECT): Promise<WebRtcWire> {
    if (this.#dials.has(remote.text)) {
      throw new BusyError(`a WebRTC connection to ${remote} is being made`);
    }
    let dial!: Dial;
    const opened = new Promise<WebRtcWire>((resolve, reject) => {
      dial = { wire: undefined, opened: resolve, failed: reject };
    });
    this.#dials.set(remote.text, dial);
    let kept: WebRtcWire | undefined;
    try {
      const late = () => new UnreachableError(remote.text, `no WebRTC connection within ${CONNECT_SECONDS} s`);
      const both = Promise.all([opened, this.#begin(remote, dial, cause)]);
      const [wire] = await within(CONNECT_SECONDS, both, late);
      kept = wire;
      return wire;
    } catch (cause) {
      if (cause instanceof UnreachableError) {
        throw cause;
      }
      throw new UnreachableError(remote.text, cause instanceof Error ? cause.message : String(cause), { cause });
    } finally {
      this.#dials.delete(remote.text);
      if (dial.wire !== kept) {
        dial.wire?.close();
      }
    }
  }

  async #begin(remote: ActrId, dial: Dial, cause: RequestCause): Promise<void> {
    if (roleOf(this.options.local, remote) === "offerer") {
      adopt(dial, this.#connecting(remote) ?? this.#connect(remote, newId()));
    } else {
      const body = { kind: "requestOffer", cause, tracks: {} } as const;
      await this.options.relay(remote, { connectionId: "", exchange: 0, body });
    }
  }

  /** Whether there is a connection of this id that is not gone. */
  knows(remote: ActrId, connectionId: string): boolean {
    return this.#wires.has(keyOf(remote, connectionId));
  }

  /** Closes all wires. */
  close(): void {
    for (const wire of this.#wires.values()) {
      wire.close();
    }
  }

  /**
   * Takes one message from signaling.
   *
   * @param source as signaling says, and as `certificate` says where the message is signed
   */
  receive(source: ActrId, message: NegotiateMessage, certificate?: Certificate): void {
    const { connectionId, body } = message;
    const wire = this.#wires.get(keyOf(source, connectionId));
    if (wire !== undefined) {
      wire.receive(message, certificate);
    } else if (characters(connectionId) > MAX_ID_CHARACTERS) {
      this.dropped += 1;
    } else if (body.kind === "offer" && connectionId !== "" && source.isSmallerThan(this.options.local)) {
      this.#offered(source, message, certificate);
    } else if (body.kind === "requestOffer" && connectionId === "") {
      this.#requested(source);
    } else if (body.kind === "candidate") {
      this.#early.keep(keyOf(source, connectionId), body);
    } else {
      this.dropped += 1;
    }
  }

  #offered(source: ActrId, message: NegotiateMessage, certificate: Certificate | undefined): void {
    const wire = this.#accept(source, message.connectionId);
    if (wire === undefined) {
      return;
    }
    const dial = this.#dials.get(source.text);
    if (dial !== undefined && dial.wire === undefined) {
      adopt(dial, wire);
    }
    wire.receive(message, certificate);
    for (const body of this.#early.take(keyOf(source, message.connectionId))) {
      wire.receive({ ...message, body });
    }
  }

  #requested(source: ActrId): void {
    if (roleOf(this.options.local, source) !== "offerer") {
      this.dropped += 1;
      return;
    }
    const wire = this.#connecting(source);
    if (wire !== undefined) {
      // Our offer and this request crossed; or the far side is another process by now.
      wire.repeatOffer();
    } else {
      this.#accept(source, newId());
    }
  }

  /** Makes a connection that the far side wants; undefined where it wants too many. */
  #accept(source: ActrId, connectionId: string): WebRtcWire | undefined {
    const dial = this.#dials.get(source.text);
    const isAwaited = dial !== undefined && dial.wire === undefined;
    if (!isAwaited && !this.#newcomers.admit(source.text, monotonic())) {
      this.dropped += 1;
      return undefined;
    }
    return this.#connect(source, connectionId);
  }

  /** The newest connection to `remote` that is being made and has no answer yet. */
  #connecting(remote: ActrId): WebRtcWire | undefined {
    return this.#all().filter((wire) => wire.remote.equals(remote) && wire.isUnanswered).at(-1);
  }

  #connect(remote: ActrId, connectionId: string): WebRtcWire {
    const mine = this.#all().filter((wire) => wire.remote.equals(remote));
    mine.slice(0, 1 - MAX_CONNECTIONS_PER_REMOTE).forEach((wire) => wire.close());
    const wanted = this.#all().filter((wire) => wire.isConnecting && !wire.wasDialled);
    wanted.slice(0, 1 - MAX_CONNECTING).forEach((wire) => wire.close());
    const wire = new WebRtcWire(connectionId, remote, this.options, this);
    this.#wires.set(keyOf(remote, connectionId), wire);
    return wire;
  }

  #all(): WebRtcWire[] {
    return [...this.#wires.values()];
  }

  // Events of the wires

  opened(wire: WebRtcWire): void {
    const dial = this.#dials.get(wire.remote.text);
    if (dial?.wire === wire) {
      dial.opened(wire);
    } else if (wire.wasDialled) {
      wire.close(); // by somebody who no longer waits
    } else {
      this.onWire(wire);
    }
  }

  ended(wire: WebRtcWire, error: PeerError | undefined): void {
    this.#wires.delete(keyOf(wire.remote, wire.connectionId));
    const dial = this.#dials.get(wire.remote.text);
    if (dial?.wire === wire) {
      const why = error instanceof UnreachableError ? error.why : error?.message;
      dial.failed(new UnreachableError(wire.remote.text, why ?? "closed while connecting"));
    }
  }
}

function adopt(dial: Dial, wire: WebRtcWire): void {
  dial.wire = wire;
  wire.wasDialled = true;
}

/** 16 random bytes in hex. */
function newId(): string {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keyOf(remote: ActrId, connectionId: string): string {
  return `${remote.text}\n${connectionId}`;
}
