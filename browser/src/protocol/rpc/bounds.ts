// The bounds of what travels on lanes, held before anything is decoded.
//
// Decoding makes an object of each entry, so megabytes of empty ones would hold the page for a
// second. A message that is longer than what cannot do harm is read over first: field by field,
// without going into any, and no further than the bounds reach.
//
// These are all the bounds of an `RpcEnvelope`; strings are counted in characters once they are
// decoded, and four bytes for each before.

import { LimitError, LocalProtocolError, RemoteProtocolError } from "../../errors";
import { characters, fromUtf8, isWellFormed, utf8 } from "../bytes";

/** Of request ids, channel ids, and each id in a call chain. */
export const MAX_ID_CHARS = 64;
export const MAX_ROUTE_CHARS = 256;
export const MAX_METADATA_ENTRIES = 64;
/** Keys and values of all entries together, as UTF-8. */
export const MAX_METADATA_BYTES = 8 * 1024;
export const MAX_CALL_CHAIN = 32;
/** Level 1 of W3C Trace Context has 55. */
export const MAX_TRACEPARENT_CHARS = 128;
export const MAX_TRACESTATE_CHARS = 1024;
/** Of an error, with its details. */
export const MAX_ERROR_BYTES = 128 * 1024;
export const MAX_CALL_NUMBER = (1n << 63n) - 1n;
/** Of one message, those that are unknown here among them. */
export const MAX_FIELDS = 256;
/** Of all fields of one number that is unknown here. */
export const MAX_UNKNOWN_BYTES = 64 * 1024;
/** What is no longer than this is decoded at once: that cannot take long. */
export const UNSCANNED_BYTES = 16 * 1024;

/** What an entry of a map adds to its key and value, and some room. */
const ENTRY_BYTES = 16;

/** How often fields of one number may come, and how many bytes all of them may have. */
type Bound = readonly [times: number, size: number];
export type Bounds = Readonly<Record<number, Bound>>;

const METADATA: Bound = [MAX_METADATA_ENTRIES, MAX_METADATA_BYTES + ENTRY_BYTES * MAX_METADATA_ENTRIES];
const PAYLOAD: Bound = [1, 2 ** 32];
const ID: Bound = [1, 4 * MAX_ID_CHARS];

/** By the field numbers of `RpcEnvelope`. */
export const ENVELOPE: Bounds = {
  1: ID,
  3: [1, 4 * MAX_ROUTE_CHARS],
  4: PAYLOAD,
  5: [1, MAX_ERROR_BYTES],
  6: METADATA,
  8: [1, 4 * MAX_TRACEPARENT_CHARS],
  9: [1, 4 * MAX_TRACESTATE_CHARS],
  10: [1, 8 * MAX_ID_CHARS],
  14: [MAX_CALL_CHAIN, 4 * MAX_ID_CHARS * MAX_CALL_CHAIN],
};
/** By the field numbers of `StreamChunk`. */
export const CHUNK: Bounds = { 1: ID, 3: PAYLOAD, 4: METADATA, 6: [1, MAX_ERROR_BYTES] };

const OTHER: Bound = [MAX_FIELDS, MAX_UNKNOWN_BYTES];
const [REQUEST_ID, DIRECTION] = [1, 2];
const [CHANNEL_ID, OPENING] = [1, 9];

export type Metadata = Readonly<Record<string, string>>;

/** Whether it is a text that metadata and keys may be: of UTF-8, without a zero. */
function isPlain(value: unknown): boolean {
  return typeof value === "string" && isWellFormed(value) && !value.includes("\0");
}

/** Holds metadata that a user gives to what they are; throws `LocalProtocolError`. */
export function checkTexts(metadata: Metadata): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (!isPlain(key) || !isPlain(value)) {
      throw new LocalProtocolError(
        `metadata ${JSON.stringify(key)}: ${JSON.stringify(value)}: must be texts in UTF-8, ` +
          "without a zero",
      );
    }
  }
}

/** Throws `LimitError` if there are too many entries, or too many bytes over all of them. */
export function checkMetadata(metadata: Metadata): void {
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_ENTRIES) {
    throw new LimitError("metadata entries", MAX_METADATA_ENTRIES, entries.length);
  }
  const size = entries.reduce((sum, texts) => sum + utf8(texts.join("")).length, 0);
  if (size > MAX_METADATA_BYTES) {
    throw new LimitError("metadata bytes", MAX_METADATA_BYTES, size);
  }
}

/** Throws `LimitError` if a text has more characters. */
export function checkChars(what: string, text: string, most: number): void {
  const count = characters(text);
  if (count > most) {
    throw new LimitError(`characters of a ${what}`, most, count);
  }
}

/** Whether a text may be the id of a request or the name of a channel. */
export function isId(text: string): boolean {
  return text !== "" && characters(text) <= MAX_ID_CHARS;
}

/**
 * Holds a serialized message to its bounds, without decoding it. Throws `RemoteProtocolError` if it
 * breaks one, or is no protobuf message.
 */
export function check(data: Uint8Array, bounds: Bounds): void {
  if (data.length <= UNSCANNED_BYTES) {
    return;
  }
  const seen = new Map<number, Bound>();
  for (const { number, start, end } of fields(data)) {
    const [times, size] = seen.get(number) ?? [0, 0];
    const sum: Bound = [times + 1, size + end - start];
    seen.set(number, sum);
    const bound = bounds[number] ?? OTHER;
    if (sum[0] > bound[0] || sum[1] > bound[1]) {
      throw new RemoteProtocolError(`field ${number} of a message: ${sum[0]} of ${sum[1]} bytes`);
    }
  }
}

/**
 * Whom to tell that an envelope breaks the rules: the id of its request; "" if it is no request, or
 * has no id that a reply could carry.
 */
export function requestIdOf(data: Uint8Array): string {
  let found = "";
  try {
    for (const { number, start, end } of fields(data)) {
      if (number === REQUEST_ID && end - start <= 4 * MAX_ID_CHARS) {
        found = fromUtf8(data.subarray(start, end));
      } else if (number === DIRECTION && !(end - start === 1 && data[start] === 0)) {
        return "";
      }
    }
  } catch {
    return "";
  }
  return isId(found) ? found : "";
}

/** Which channel and opening a chunk that breaks the rules is of; null: nobody can say. */
export function channelOf(data: Uint8Array): { channelId: string; opening: number } | null {
  let channelId = "";
  let opening = 0;
  try {
    for (const { number, start, end } of fields(data)) {
      if (number === CHANNEL_ID && end - start <= 4 * MAX_ID_CHARS) {
        channelId = fromUtf8(data.subarray(start, end));
      } else if (number === OPENING) {
        [opening] = varint(data, start);
      }
    }
  } catch {
    return null;
  }
  return isId(channelId) ? { channelId, opening } : null;
}

interface Field {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Number, and where the value begins and ends, of each field of a message. Throws
 * `RemoteProtocolError` if there are more than `MAX_FIELDS`, or it is no message.
 */
function fields(data: Uint8Array): Field[] {
  const found: Field[] = [];
  let offset = 0;
  while (offset < data.length) {
    if (found.length >= MAX_FIELDS) {
      throw new RemoteProtocolError(`a message of over ${MAX_FIELDS} fields`);
    }
    let [tag, start] = varint(data, offset);
    const kind = tag % 8;
    if (kind === 2) {
      const [length, begin] = varint(data, start);
      start = begin;
      offset = start + length;
    } else if (kind === 0) {
      [, offset] = varint(data, start);
    } else if (kind === 1 || kind === 5) {
      offset = start + (kind === 1 ? 8 : 4);
    } else {
      throw new RemoteProtocolError(`a field of kind ${kind}`);
    }
    if (offset > data.length) {
      throw cutShort(data);
    }
    found.push({ number: Math.floor(tag / 8), start, end: offset });
  }
  return found;
}

/** The number at `offset`, and where what follows begins; above 2^53 it is about right. */
function varint(data: Uint8Array, offset: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; shift <= 63; shift += 7) {
    const byte = data[offset++];
    if (byte === undefined) {
      throw cutShort(data);
    }
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      return [value, offset];
    }
  }
  throw new RemoteProtocolError("a number of over ten bytes");
}

function cutShort(data: Uint8Array): RemoteProtocolError {
  return new RemoteProtocolError(`a message of ${data.length} bytes is cut short`);
}
