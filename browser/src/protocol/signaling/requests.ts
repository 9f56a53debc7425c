// What the client says to the service: values, and their bytes.

import type { ActrId } from "../identity/ids";
import { type Init, write } from "../protobuf";
import { packNegotiate } from "../webrtc/messages";
import type { NegotiateMessage } from "../webrtc/negotiation";
import type { Load, Registration } from "./presence";
import { CLIENT_MESSAGE, type ClientMessage, REGISTER } from "./tables";

/** By their numbers. */
const VISIBILITY = { realm: 0, hidden: 1 } as const;

export interface Authenticate {
  readonly kind: "authenticate";
  readonly id: ActrId;
  readonly mac: Uint8Array;
  readonly certificate?: Uint8Array;
  readonly signature?: Uint8Array;
}

/** What an actor signs of itself, and with what others check it. */
export interface Signed {
  readonly register: Uint8Array;
  readonly certificate: Uint8Array;
  readonly signature: Uint8Array;
  /** When; what is in `register` says so too. */
  readonly atMs: bigint;
}

export interface Register {
  readonly kind: "register";
  readonly registration: Registration;
  /** What is registered, by itself; undefined: it has no key. */
  readonly signed?: Signed;
}

export interface Heartbeat {
  readonly kind: "heartbeat";
  readonly load: Load;
}

/** Of a type, or of all when it is empty. */
export interface Subscribe {
  readonly kind: "subscribe" | "unsubscribe";
  readonly actrType: string;
}

export interface Discover {
  readonly kind: "discover";
  readonly actrType?: string;
  readonly service?: string;
  readonly fingerprint?: string;
  readonly stickiness?: string;
  readonly limit?: number;
  /** Only this actor, where the service knows the question. */
  readonly id?: ActrId;
  /** Only those behind an earlier answer: its `next`. */
  readonly after?: string;
}

export interface Relay {
  readonly kind: "relay";
  readonly to: ActrId;
  readonly negotiate: NegotiateMessage;
}

export interface Unregister {
  readonly kind: "unregister";
}

export type Request =
  | Authenticate
  | Register
  | Heartbeat
  | Subscribe
  | Discover
  | Relay
  | Unregister;

/**
 * The binary frame of one client message. Throws `LimitError` if a description in it is too long.
 *
 * @param number from 1, rising; the reply carries it
 */
export function encode(number: number, request: Request): Uint8Array {
  return write(CLIENT_MESSAGE, { id: BigInt(number), body: pack(request) });
}

function pack(request: Request): NonNullable<Init<ClientMessage>["body"]> {
  switch (request.kind) {
    case "authenticate": {
      const { kind, id, ...proofs } = request;
      return { case: kind, value: { id: id.toMessage(), ...proofs } };
    }
    case "register": {
      const { registration, signed } = request;
      const onlyIfFree = registration.takesOver === false;
      const said = { ...packRegistration(registration), onlyIfFree };
      if (signed === undefined) {
        return { case: request.kind, value: said };
      }
      const { atMs, ...proofs } = signed;
      return { case: request.kind, value: { ...said, signedAtMs: atMs, signed: proofs } };
    }
    case "heartbeat":
      return { case: request.kind, value: { load: packLoad(request.load) } };
    case "subscribe":
    case "unsubscribe":
      return { case: request.kind as "subscribe", value: { actrType: request.actrType } };
    case "discover": {
      const { kind, id, ...asked } = request;
      return { case: kind, value: { ...asked, ...(id && { id: id.toMessage() }) } };
    }
    case "relay":
      return {
        case: request.kind,
        value: { to: request.to.toMessage(), negotiate: packNegotiate(request.negotiate) },
      };
    case "unregister":
      return { case: request.kind, value: {} };
  }
}

/** The bytes to sign. */
export function writeRegister(registration: Registration, signedAtMs: bigint): Uint8Array {
  return write(REGISTER, { ...packRegistration(registration), signedAtMs });
}

function packLoad({ mailboxBacklog, powerReserve }: Load): Load {
  return { mailboxBacklog: Math.min(mailboxBacklog, 0xffff_ffff), powerReserve };
}

function packRegistration(registration: Registration) {
  const { id, incarnation, wsAddress = "", services = [], metadata = {} } = registration;
  return {
    id: id.toMessage(),
    incarnation,
    wsAddress,
    services: services.map(([service, fingerprint]) => ({ service, fingerprint })),
    metadata,
    visibility: registration.isHidden ? VISIBILITY.hidden : VISIBILITY.realm,
    allowedRealms: [...(registration.allowedRealms ?? [])],
  };
}
