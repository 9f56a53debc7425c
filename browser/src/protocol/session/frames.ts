// The frames that a lane session puts into wire messages.
//
// A wire message on channel `c` is one or more frames, one after the other, network byte order; a
// DATA frame belongs to lane `c`, a REPLY frame to the reply lane `4 + c`. Layouts, with examples:
// docs/protocol.md#session-frames
//
//     DATA   u8 0x01, u64 seq, u32 length, payload
//            u8 0x81, u64 seq, u32 length, u16 index, u16 count, payload      one fragment of many
//     REPLY  likewise, 0x09 and 0x89
//     ACK    u8 0x02, u8 lane, u64 received, u64 acknowledged, u16 messages, u32 bytes
//     HELLO  u8 0x03, u8 version, u64 incarnation, u64 known, u64 received x 6, u32 max bytes
//     PING   u8 0x04, u32 number          PONG  u8 0x05, u32 number
//     BYE    u8 0x06, u8 reason           ASK   u8 0x07, u8 lane

import { RemoteProtocolError } from "../../errors";
import { WIRE_MESSAGE_BYTES } from "../payload";

export const VERSION = 2;
/** Four of payload types, and the reply lanes of the first two. */
export const LANES = 6;
/** The one that has no acknowledgements. */
export const LATENCY_LANE = 3;
export const FIRST_REPLY_LANE = 4;

const DATA_BYTES = 13;
const FRAGMENT_HEAD_BYTES = 17;
const ACK_BYTES = 24;
const HELLO_BYTES = 70;
const NUMBER_BYTES = 5;
const BYTE_BYTES = 2;
const RELIABLE = 5;

/** What a wire message has room for beside payloads: one header, acknowledgements of all lanes. */
export const BESIDE_BYTES = FRAGMENT_HEAD_BYTES + RELIABLE * ACK_BYTES;
/**
 * Longest payload of one DATA frame: with what is beside it, it fills the shortest wire message, so
 * that it can go out again on any wire.
 */
export const FRAGMENT_BYTES = WIRE_MESSAGE_BYTES - BESIDE_BYTES;
export const MAX_FRAGMENTS = 0xffff;
/** Upper bound of what a DATA frame adds to its payload. */
export const DATA_HEAD_BYTES = FRAGMENT_HEAD_BYTES;

/** The first byte of a frame. */
export enum Kind {
  DATA = 0x01,
  ACK = 0x02,
  HELLO = 0x03,
  PING = 0x04,
  PONG = 0x05,
  BYE = 0x06,
  /** Please acknowledge this lane now: an acknowledgement may have been lost. */
  ASK = 0x07,
  /** A message of the reply lane that belongs to the channel. */
  REPLY = 0x09,
  /** DATA that is one fragment of a longer message. */
  FRAGMENT = 0x81,
  REPLY_FRAGMENT = 0x89,
}

/** Why a side says goodbye. */
export enum ByeReason {
  /** The link is closed: nothing of the session is kept. */
  CLOSED = 0,
  /** Nothing happens: may the link be closed? Answered with CLOSED, or with traffic. */
  IDLE = 1,
  /** This wire is not needed; the session lives on in others. */
  DUPLICATE = 2,
  /** The far side broke this protocol: the link is dropped. */
  BROKEN_RULES = 3,
}

/** A message, or one fragment of it, or what stands for several. */
export interface Data {
  readonly kind: Kind.DATA | Kind.REPLY;
  /** Of this frame, from 0, without gaps in each lane. */
  readonly seq: number;
  /** Index of this fragment, from 0; of a longer payload than a fragment has, of its first. */
  readonly part: number;
  /** Fragments of the message; 1: it is whole. */
  readonly parts: number;
  /** Of a fragment, a view of its wire message: who keeps it for longer copies it. */
  readonly payload: Uint8Array;
}

/** What has arrived in one lane, and what may come. */
export interface Ack {
  readonly kind: Kind.ACK;
  readonly lane: number;
  /** Frames below this number have arrived: they are not sent again. */
  readonly received: number;
  /** Frames below this number are delivered (RPC: stored): the sender may forget them. */
  readonly acknowledged: number;
  /** Frames that may be sent from `received` on. */
  readonly creditMessages: number;
  /** Payload bytes that may be sent from `received` on. */
  readonly creditBytes: number;
}

/** First on channel 1 of every wire; repeated until the far side is heard. */
export interface Hello {
  readonly kind: Kind.HELLO;
  /** Of the sender's end of the session; never 0. */
  readonly incarnation: bigint;
  /** The incarnation of the far side that `received` counts for; 0: none yet. */
  readonly known: bigint;
  /** One number for each lane, as in `Ack`. */
  readonly received: readonly number[];
  /** Longest message, all its fragments together, that the sender takes. */
  readonly maxMessageBytes: number;
}

export interface Numbered {
  readonly kind: Kind.PING | Kind.PONG;
  readonly number: number;
}

export interface Bye {
  readonly kind: Kind.BYE;
  readonly reason: ByeReason;
}

export interface Ask {
  readonly kind: Kind.ASK;
  readonly lane: number;
}

export type Frame = Data | Ack | Hello | Numbered | Bye | Ask;

/** What makes a DATA frame, whole or fragment, one of a reply lane. */
export const REPLY_FLAG = Kind.REPLY ^ Kind.DATA;

/**
 * Yields the frames of one wire message, in order. Throws `RemoteProtocolError` if a frame is cut
 * short, unknown, or holds a value out of bounds; frames before it have been yielded.
 */
export function* decode(data: Uint8Array): Generator<Frame, void> {
  if (data.length === 0) {
    throw new RemoteProtocolError("an empty wire message");
  }
  const reader = new Reader(data);
  while (reader.offset < data.length) {
    yield reader.frame();
  }
}

class Reader {
  offset = 0;
  private readonly view: DataView;

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  frame(): Frame {
    const kind = this.data[this.offset]!;
    switch (kind) {
      case Kind.DATA:
      case Kind.REPLY:
        return this.whole(kind);
      case Kind.FRAGMENT:
      case Kind.REPLY_FRAGMENT:
        return this.fragment(kind === Kind.FRAGMENT ? Kind.DATA : Kind.REPLY);
      case Kind.ACK:
        return this.ack();
      case Kind.PING:
      case Kind.PONG:
        return { kind, number: this.view.getUint32(this.take(NUMBER_BYTES) + 1) };
      case Kind.HELLO:
        return this.hello();
      case Kind.BYE:
        return { kind, reason: this.byte("BYE", (value) => value <= ByeReason.BROKEN_RULES) };
      case Kind.ASK:
        return { kind, lane: this.byte("ASK", (lane) => lane < LANES && lane !== LATENCY_LANE) };
      default:
        throw new RemoteProtocolError(`frame of unknown kind 0x${kind.toString(16).padStart(2, "0")}`);
    }
  }

  /** Where the next bytes begin; they are passed over. */
  private take(size: number): number {
    const start = this.offset;
    if (start + size > this.data.length) {
      throw new RemoteProtocolError(`a frame is cut short at byte ${start} of ${this.data.length}`);
    }
    this.offset = start + size;
    return start;
  }

  private whole(kind: Kind.DATA | Kind.REPLY): Data {
    const head = this.take(DATA_BYTES);
    const seq = this.sequence(head + 1);
    const payload = this.payload("DATA", this.view.getUint32(head + 9));
    return { kind, seq, part: 0, parts: 1, payload: payload.slice() };
  }

  private fragment(kind: Kind.DATA | Kind.REPLY): Data {
    const head = this.take(FRAGMENT_HEAD_BYTES);
    const seq = this.sequence(head + 1);
    const part = this.view.getUint16(head + 13);
    const parts = this.view.getUint16(head + 15);
    const payload = this.payload("fragment", this.view.getUint32(head + 9));
    const size = payload.length;
    if (!(parts > 1 && part < parts && size > 0 && seq >= part)) {
      throw new RemoteProtocolError(`fragment ${part} of ${parts}, ${size} bytes, number ${seq}`);
    }
    if (size > FRAGMENT_BYTES) {
      const left = parts - part - Math.ceil(size / FRAGMENT_BYTES);
      if (left < 0 || (left > 0 && size % FRAGMENT_BYTES !== 0)) {
        throw new RemoteProtocolError(`${size} bytes as fragments from ${part} on, of ${parts}`);
      }
    }
    return { kind, seq, part, parts, payload };
  }

  private payload(what: string, size: number): Uint8Array {
    const start = this.offset;
    const end = start + size;
    if (end > this.data.length) {
      throw new RemoteProtocolError(`${what} of ${size} bytes has ${this.data.length - start}`);
    }
    this.offset = end;
    return this.data.subarray(start, end);
  }

  private ack(): Ack {
    const at = this.take(ACK_BYTES);
    const lane = this.view.getUint8(at + 1);
    const received = this.number(at + 2);
    const acknowledged = this.number(at + 10);
    if (lane >= LANES || acknowledged > received) {
      throw new RemoteProtocolError(
        `ACK of lane=${lane}, received=${received}, acknowledged=${acknowledged}`,
      );
    }
    return {
      kind: Kind.ACK,
      lane,
      received,
      acknowledged,
      creditMessages: this.view.getUint16(at + 18),
      creditBytes: this.view.getUint32(at + 20),
    };
  }

  private hello(): Hello {
    const at = this.take(HELLO_BYTES);
    const version = this.view.getUint8(at + 1);
    if (version !== VERSION) {
      throw new RemoteProtocolError(`session version ${version}, this side speaks ${VERSION}`);
    }
    const incarnation = this.view.getBigUint64(at + 2);
    const maxMessageBytes = this.view.getUint32(at + 66);
    if (incarnation === 0n || maxMessageBytes < FRAGMENT_BYTES) {
      throw new RemoteProtocolError(`HELLO of incarnation ${incarnation}, ${maxMessageBytes} bytes`);
    }
    const received = Array.from({ length: LANES }, (_, lane) => this.number(at + 18 + 8 * lane));
    return {
      kind: Kind.HELLO,
      incarnation,
      known: this.view.getBigUint64(at + 10),
      received,
      maxMessageBytes,
    };
  }

  private byte(what: string, isRight: (value: number) => boolean): number {
    const value = this.view.getUint8(this.take(BYTE_BYTES) + 1);
    if (!isRight(value)) {
      throw new RemoteProtocolError(`${what} of ${value}`);
    }
    return value;
  }

  /** Above 2^53 it is about right, which is enough: it is only compared with what was sent. */
  private number(at: number): number {
    return this.view.getUint32(at) * 0x1_0000_0000 + this.view.getUint32(at + 4);
  }

  /** Of a frame: no lane counts so far that a number is not exact. */
  private sequence(at: number): number {
    const seq = this.number(at);
    if (!Number.isSafeInteger(seq)) {
      throw new RemoteProtocolError(`frame ${seq}`);
    }
    return seq;
  }
}

/** What goes before the payload of a message that is one frame; see `REPLY_FLAG`. */
export function dataHead(seq: number, length: number, flag = 0): Uint8Array {
  const [bytes, view] = made(DATA_BYTES, Kind.DATA ^ flag);
  putNumber(view, 1, seq);
  view.setUint32(9, length);
  return bytes;
}

/** What goes before the payload of one fragment of many. */
export function fragmentHead(
  seq: number,
  length: number,
  index: number,
  count: number,
  flag = 0,
): Uint8Array {
  const [bytes, view] = made(FRAGMENT_HEAD_BYTES, Kind.FRAGMENT ^ flag);
  putNumber(view, 1, seq);
  view.setUint32(9, length);
  view.setUint16(13, index);
  view.setUint16(15, count);
  return bytes;
}

export function encodeAck(ack: Omit<Ack, "kind">): Uint8Array {
  const [bytes, view] = made(ACK_BYTES, Kind.ACK);
  view.setUint8(1, ack.lane);
  putNumber(view, 2, ack.received);
  putNumber(view, 10, ack.acknowledged);
  view.setUint16(18, ack.creditMessages);
  view.setUint32(20, ack.creditBytes);
  return bytes;
}

export function encodeHello(hello: Omit<Hello, "kind">): Uint8Array {
  const [bytes, view] = made(HELLO_BYTES, Kind.HELLO);
  view.setUint8(1, VERSION);
  view.setBigUint64(2, hello.incarnation);
  view.setBigUint64(10, hello.known);
  hello.received.forEach((number, lane) => putNumber(view, 18 + 8 * lane, number));
  view.setUint32(66, hello.maxMessageBytes);
  return bytes;
}

export function encodePing(number: number): Uint8Array {
  return numbered(Kind.PING, number);
}

export function encodePong(number: number): Uint8Array {
  return numbered(Kind.PONG, number);
}

export function encodeBye(reason: ByeReason): Uint8Array {
  return Uint8Array.of(Kind.BYE, reason);
}

export function encodeAsk(lane: number): Uint8Array {
  return Uint8Array.of(Kind.ASK, lane);
}

function numbered(kind: Kind, number: number): Uint8Array {
  const [bytes, view] = made(NUMBER_BYTES, kind);
  view.setUint32(1, number);
  return bytes;
}

function made(size: number, kind: number): [Uint8Array, DataView] {
  const bytes = new Uint8Array(size);
  bytes[0] = kind;
  return [bytes, new DataView(bytes.buffer)];
}

function putNumber(view: DataView, at: number, number: number): void {
  view.setUint32(at, Math.floor(number / 0x1_0000_0000));
  view.setUint32(at + 4, number % 0x1_0000_0000);
}
