// The frame of a WebSocket wire (docs/protocol.md, WebSocket wire).
//
// One binary WebSocket message is one frame, length included, so that the same bytes can travel over a
// plain byte stream:
//
//     0       1                 5
//     | type  | length, u32 BE  | data ...
//
// `type` is the channel, 0 to 3, or 255 for a step of the handshake.

import { LimitError, RemoteProtocolError } from "../../errors";
import { MAX_WIRE_MESSAGE_BYTES, WIRE_MESSAGE_BYTES, WireKind } from "../payload";
import { read, write } from "../protobuf";
import { type Step, WIRE_HANDSHAKE, type WireHandshake } from "./tables";

const HEADER_BYTES = 5;
export const HANDSHAKE = 255;
/** Largest `data`; the session above makes smaller ones. */
export const MAX_DATA_BYTES = 256 * 1024;
/** Longest wire message that the session above takes. */
export const MESSAGE_BYTES = MAX_WIRE_MESSAGE_BYTES[WireKind.WEBSOCKET];
/** Largest step of the handshake: a certificate fits. */
export const MAX_STEP_BYTES = 16 * 1024;

/** The frame of `data`. Throws `LimitError` if that is longer than `MAX_DATA_BYTES`. */
export function encode(type: number, data: Uint8Array): Uint8Array {
  if (data.length > MAX_DATA_BYTES) {
    throw new LimitError("bytes of a wire message", MAX_DATA_BYTES, data.length);
  }
  const frame = new Uint8Array(HEADER_BYTES + data.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, type);
  view.setUint32(1, data.length);
  frame.set(data, HEADER_BYTES);
  return frame;
}

/**
 * Splits one whole frame into its type and its data, which is part of it. Throws `RemoteProtocolError`
 * if it is shorter than its header, or its length differs from what the header says, and `LimitError`
 * if it is too long.
 */
export function decode(frame: Uint8Array): { type: number; data: Uint8Array } {
  const size = frame.length - HEADER_BYTES;
  if (size < 0) {
    throw new RemoteProtocolError(`a frame of ${frame.length} bytes, shorter than its header`);
  }
  if (size > MAX_DATA_BYTES) {
    throw new LimitError("bytes of a wire message", MAX_DATA_BYTES, size);
  }
  const view = new DataView(frame.buffer, frame.byteOffset);
  const length = view.getUint32(1);
  if (length !== size) {
    throw new RemoteProtocolError(`a frame that says ${length} bytes and holds ${size}`);
  }
  return { type: view.getUint8(0), data: frame.subarray(HEADER_BYTES) };
}

/** Longest wire message to send to a side that says it takes these; 0: it says nothing. */
export function agreed(farBytes: number): number {
  return Math.min(Math.max(farBytes, WIRE_MESSAGE_BYTES), MESSAGE_BYTES);
}

/**
 * Reads what a frame of `HANDSHAKE` holds. Throws `RemoteProtocolError` if it is too long, or no step.
 */
export function parseStep(data: Uint8Array): WireHandshake["step"] {
  if (data.length > MAX_STEP_BYTES) {
    throw new RemoteProtocolError(`a handshake step of ${data.length} bytes`);
  }
  try {
    return read(WIRE_HANDSHAKE, data).step;
  } catch (cause) {
    throw new RemoteProtocolError("a handshake step that cannot be decoded", { cause });
  }
}

/** The bytes of a step. */
export function writeStep(step: Step): Uint8Array {
  return write(WIRE_HANDSHAKE, { step });
}
