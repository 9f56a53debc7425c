// Frames of sessions, as `proto/vectors/frames.json` has them.

import assert from "node:assert/strict";

import { RemoteProtocolError } from "../../../src/errors";
import { concat } from "../../../src/protocol/bytes";
import {
  ByeReason,
  dataHead,
  decode,
  encodeAck,
  encodeAsk,
  encodeBye,
  encodeHello,
  encodePing,
  encodePong,
  type Frame,
  fragmentHead,
  Kind,
  REPLY_FLAG,
} from "../../../src/protocol/session/frames";
import { each, hex, unhex } from "../../kit/vectors";

/** The frame of which these are the fields. */
function read(fields: any): Frame {
  switch (fields.kind) {
    case "DATA":
    case "REPLY":
      return {
        kind: fields.kind === "DATA" ? Kind.DATA : Kind.REPLY,
        seq: fields.seq,
        part: fields.index,
        parts: fields.count,
        payload: unhex(fields.payload),
      };
    case "ACK":
      return {
        kind: Kind.ACK,
        lane: fields.lane,
        received: fields.received,
        acknowledged: fields.acknowledged,
        creditMessages: fields.credit_messages,
        creditBytes: fields.credit_bytes,
      };
    case "HELLO":
      return {
        kind: Kind.HELLO,
        incarnation: BigInt(`0x${fields.incarnation}`),
        known: BigInt(`0x${fields.known}`),
        received: fields.received,
        maxMessageBytes: fields.max_message_bytes,
      };
    case "PING":
      return { kind: Kind.PING, number: fields.number };
    case "PONG":
      return { kind: Kind.PONG, number: fields.number };
    case "BYE":
      return { kind: Kind.BYE, reason: ByeReason[fields.reason as keyof typeof ByeReason] };
    case "ASK":
      return { kind: Kind.ASK, lane: fields.lane };
  }
  throw new Error(fields.kind);
}

function write(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case Kind.DATA:
    case Kind.REPLY: {
      const flag = frame.kind === Kind.REPLY ? REPLY_FLAG : 0;
      const { seq, part, parts, payload } = frame;
      const size = payload.length;
      const head = parts === 1 ? dataHead(seq, size, flag) : fragmentHead(seq, size, part, parts, flag);
      return concat([head, payload]);
    }
    case Kind.ACK:
      return encodeAck(frame);
    case Kind.HELLO:
      return encodeHello(frame);
    case Kind.PING:
      return encodePing(frame.number);
    case Kind.PONG:
      return encodePong(frame.number);
    case Kind.BYE:
      return encodeBye(frame.reason);
    case Kind.ASK:
      return encodeAsk(frame.lane);
  }
}

each("frames", "messages", "a wire message is these frames and these bytes", (vector) => {
  const expected: Frame[] = vector.frames.map(read);
  assert.deepEqual([...decode(unhex(vector.hex))], expected);
  assert.equal(hex(concat(expected.map(write))), vector.hex);
});

each("frames", "malformed", "a malformed message is heard up to the breach", (vector) => {
  const heard: Frame[] = [];
  assert.throws(
    () => {
      for (const frame of decode(unhex(vector.hex))) {
        heard.push(frame);
      }
    },
    (error: Error) => error instanceof RemoteProtocolError && error.message.includes(vector.error),
  );
  assert.equal(heard.length, vector.read);
});
