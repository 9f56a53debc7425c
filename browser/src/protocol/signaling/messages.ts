// What the service says, from bytes to values.
//
// What the service sends is bounded by the socket and checked here: a message that cannot be used is a
// `RemoteProtocolError`, not a crash. Bodies of a later version are unknown, not wrong.

import { RemoteProtocolError } from "../../errors";
import { characters } from "../bytes";
import type { ActrId } from "../identity/ids";
import { read as readMessage } from "../protobuf";
import { unpackNegotiate } from "../webrtc/messages";
import type { IceServer, NegotiateMessage } from "../webrtc/negotiation";
import { LONG_BYTES, readListing, walk } from "./listing";
import type { Change, Presence, PresenceEvent, Reason } from "./presence";
import type { ReadPresence } from "./reading";
import { MAX_PRESENT, MAX_TEXT, readIceServers, readId, readPresence } from "./reading";
import { type Presence as PresenceMessage, SERVER_MESSAGE, type ServerMessage } from "./tables";

/** Of one relay: the service takes no longer message from a peer. */
export const MAX_RELAYED_BYTES = 64 * 1024;
/** Of the greeting. No other length: the proof has no mark where the nonce begins and ends. */
export const NONCE_BYTES = 32;
/** Of `ServerMessage`. */
const RELAYED = 11;

export interface Hello {
  readonly kind: "hello";
  readonly nonce: Uint8Array;
  readonly serverId: string;
  readonly proofRequired: boolean;
  /** Largest message that the service takes; 0: not said. */
  readonly maxMessageBytes: number;
  readonly certificateRequired: boolean;
  /** Unix time in seconds at the service; 0: not said, and it knows no certificates. */
  readonly time: number;
}

export interface Registered {
  readonly kind: "registered";
  readonly sessionId: string;
  readonly epoch: bigint;
  /** Seconds between heartbeats. */
  readonly heartbeat: number;
  readonly iceServers: readonly IceServer[];
  /** Another process held the identity until now. */
  readonly tookOver: boolean;
}

export interface HeartbeatAck {
  readonly kind: "heartbeatAck";
  /** Fresh ones, or none where the old ones still serve. */
  readonly iceServers: readonly IceServer[];
}

export interface Snapshot {
  readonly kind: "snapshot";
  readonly actrType: string;
  readonly version: bigint;
  readonly present: readonly Presence[];
}

export interface Discovered {
  readonly kind: "discovered";
  readonly found: readonly Presence[];
  /** What asks for those behind them; empty: there are none. */
  readonly next: string;
}

export type WhyUndelivered = "unknown" | "offline" | "not allowed" | "expired" | "overloaded";
/** By their numbers on the wire. */
const CHANGES: readonly Change[] = ["join", "update", "leave"];
const REASONS: readonly Reason[] = ["none", "closed", "expired", "replaced", "drained", "kicked"];
const WHY: readonly WhyUndelivered[] = ["unknown", "offline", "not allowed", "expired", "overloaded"];

export interface Undelivered {
  readonly kind: "undelivered";
  readonly reason: WhyUndelivered;
}

export interface Relayed {
  readonly kind: "relayed";
  readonly source: ActrId;
  readonly incarnation: bigint;
  readonly negotiate: NegotiateMessage;
}

export interface Replaced {
  readonly kind: "replaced";
  readonly epoch: bigint;
}

export interface GoAway {
  readonly kind: "goaway";
  /** Seconds. */
  readonly after: number;
  readonly reason: string;
}

/** One message was refused; the connection stays unless a close follows. */
export interface Refusal {
  readonly kind: "refusal";
  readonly code: number;
  readonly message: string;
}

export type Body =
  | Hello
  | Registered
  | HeartbeatAck
  | Snapshot
  | PresenceEvent
  | Discovered
  | Undelivered
  | Relayed
  | Replaced
  | GoAway
  | Refusal
  | { readonly kind: "authenticated" | "receipt" | "done" };

/** One server message: the number that it answers (0: none), and its body. */
export interface Said {
  readonly replyTo: number;
  /**
   * Undefined for a kind that this version does not know, and for a relay or presence that the actor
   * which it is from got wrong.
   */
  readonly body: Body | undefined;
}

/**
 * Reads one server message; rejects with `RemoteProtocolError` if it cannot be decoded or a part of it
 * cannot be used.
 *
 * @param read reads each actor that is said to be online, and leaves out who is not believed
 * @param rest called again and again while a long message is read
 */
export async function decode(
  data: Uint8Array,
  read: ReadPresence = readPresence,
  rest?: () => Promise<void> | undefined,
): Promise<Said> {
  if (data.length > LONG_BYTES) {
    const { replyTo, isSnapshot, actrType, version, present, next } = await readListing(data, read, rest);
    const body: Body = isSnapshot
      ? { kind: "snapshot", actrType, version, present }
      : { kind: "discovered", found: present, next };
    return { replyTo, body };
  }
  let message: ServerMessage;
  try {
    message = readMessage(SERVER_MESSAGE, data);
  } catch (cause) {
    throw new RemoteProtocolError("a server message that cannot be decoded", { cause });
  }
  const body = isTooLong(message, data) ? undefined : await readBody(message.body, read);
  return { replyTo: Number(message.replyTo), body };
}

/** Whether it is a relay that no peer could send. */
function isTooLong(message: ServerMessage, data: Uint8Array): boolean {
  if (message.body.case !== "relayed" || data.length <= MAX_RELAYED_BYTES) {
    return false;
  }
  let size = 0;
  for (const field of walk(data)) {
    size += field.number === RELAYED ? field.data.length : 0;
  }
  return size > MAX_RELAYED_BYTES;
}

async function readBody(body: ServerMessage["body"], read: ReadPresence): Promise<Body | undefined> {
  switch (body.case) {
    case undefined:
      return undefined;
    case "hello":
      return readHello(body.value);
    case "registered": {
      const { sessionId, epoch, heartbeatIntervalMs, tookOver } = body.value;
      const iceServers = readIceServers(body.value.iceServers);
      return { kind: body.case, sessionId, epoch, heartbeat: heartbeatIntervalMs / 1000, iceServers, tookOver };
    }
    case "heartbeatAck":
      return { kind: body.case, iceServers: readIceServers(body.value.iceServers) };
    case "snapshot": {
      const { actrType, version } = body.value;
      return { kind: body.case, actrType, version, present: await readAll(body.value.present, read) };
    }
    case "presence":
      return readEvent(body.value, read);
    case "discovered":
      return { kind: body.case, found: await readAll(body.value.found, read), next: body.value.next };
    case "undelivered":
      return { kind: body.case, reason: WHY[body.value.reason] ?? "unknown" };
    case "relayed":
      return readRelayed(body.value);
    case "replaced":
      return { kind: body.case, epoch: body.value.epoch };
    case "goaway":
      return { kind: body.case, after: body.value.reconnectAfterMs / 1000, reason: body.value.reason };
    case "error":
      return { kind: "refusal", code: body.value.code, message: body.value.message };
    default:
      return { kind: body.case };
  }
}

type ValueOf<Case extends string> = Extract<ServerMessage["body"], { case: Case }> extends { value: infer V }
  ? V
  : never;

function readHello(hello: ValueOf<"hello">): Hello {
  const { nonce, serverId, proofRequired, maxMessageBytes, certificateRequired, timeMs } = hello;
  if (nonce.length !== NONCE_BYTES) {
    throw new RemoteProtocolError(`a greeting with a nonce of ${nonce.length} bytes`);
  }
  if (characters(serverId) > MAX_TEXT) {
    throw new RemoteProtocolError("a greeting with a name that is too long");
  }
  const time = Number(timeMs) / 1000;
  return { kind: "hello", nonce, serverId, proofRequired, maxMessageBytes, certificateRequired, time };
}

async function readAll(bodies: readonly PresenceMessage[], read: ReadPresence): Promise<Presence[]> {
  const present: Presence[] = [];
  for (const body of bodies.slice(0, MAX_PRESENT)) {
    const presence = await read(body);
    if (presence !== undefined) {
      present.push(presence);
    }
  }
  return present;
}

async function readEvent(event: ValueOf<"presence">, read: ReadPresence): Promise<PresenceEvent | undefined> {
  // Nobody can sign that it has left: only the id and the epoch of it are used.
  const reader = CHANGES[event.kind] === "leave" ? readPresence : read;
  const presence = event.presence && (await reader(event.presence));
  if (presence === undefined) {
    return undefined; // another peer's mistake, or nobody who is believed
  }
  // A later version may have others.
  const change = CHANGES[event.kind] ?? "update";
  const reason = REASONS[event.reason] ?? "none";
  return { kind: "presence", change, presence, version: event.version, reason };
}

function readRelayed(relayed: ValueOf<"relayed">): Relayed | undefined {
  const source = relayed.from && readId(relayed.from);
  if (source === undefined || relayed.negotiate === undefined) {
    return undefined;
  }
  try {
    const negotiate = unpackNegotiate(relayed.negotiate);
    return { kind: "relayed", source, incarnation: relayed.incarnation, negotiate };
  } catch (error) {
    if (error instanceof RemoteProtocolError) {
      return undefined; // another peer's mistake is not the service's: the connection stays
    }
    throw error;
  }
}
