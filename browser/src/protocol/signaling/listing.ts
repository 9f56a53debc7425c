// A long message of the service, which lists actors, read one actor at a time.
//
// Eight megabytes of one message hold a page still when they are decoded at once. So the long ones are
// walked field by field, what is too long to be an actor is passed over, and whoever reads can rest
// after each.

import { RemoteProtocolError } from "../../errors";
import { read as readMessage } from "../protobuf";
import type { Presence } from "./presence";
import type { ReadPresence } from "./reading";
import { MAX_PRESENT } from "./reading";
import { PRESENCE } from "./tables";

/** No message but a listing is longer: a relay has at most 64 KiB, and its head. */
export const LONG_BYTES = 72 * 1024;
/** Of one actor: the service takes no longer message from it. */
const MAX_PRESENCE_BYTES = 64 * 1024;
/** Of `ServerMessage`. */
const [REPLY_TO, SNAPSHOT, DISCOVERED] = [1, 6, 8];
/** Of `PresenceSnapshot`. */
const [TYPE, VERSION, PRESENT] = [1, 2, 3];
/** Of `Discovered`. */
const [FOUND, NEXT] = [1, 2];

/** A snapshot, or what a discovery has found: that has no type and no version. */
export interface Listing {
  readonly replyTo: number;
  readonly isSnapshot: boolean;
  readonly actrType: string;
  readonly version: bigint;
  readonly present: readonly Presence[];
  /** What asks for those behind them, of what a discovery has found. */
  readonly next: string;
}

/**
 * Reads a snapshot or what a discovery has found. Rejects with `RemoteProtocolError` if it is another
 * message, or cannot be decoded.
 *
 * @param rest called after each field: others may have their turn in it
 */
export async function readListing(
  data: Uint8Array,
  read: ReadPresence,
  rest?: () => Promise<void> | undefined,
): Promise<Listing> {
  let replyTo = 0n;
  let kind = 0;
  let body = data.subarray(0, 0);
  for (const field of walk(data)) {
    if (field.number === REPLY_TO) {
      replyTo = field.value;
    } else if (kind !== 0 || (field.number !== SNAPSHOT && field.number !== DISCOVERED)) {
      throw new RemoteProtocolError(`a message of ${data.length} bytes that lists no actors`);
    } else {
      kind = field.number;
      body = field.data;
    }
  }
  const isSnapshot = kind === SNAPSHOT;
  const listed = isSnapshot ? PRESENT : FOUND;
  const present: Presence[] = [];
  let [actrType, version, next, count] = ["", 0n, "", 0];
  for (const field of walk(body)) {
    if (count++ > MAX_PRESENT) {
      break;
    }
    if (field.number === listed) {
      const presence = await readOne(field.data, read);
      if (presence !== undefined) {
        present.push(presence);
      }
    } else if (!isSnapshot && field.number === NEXT) {
      next = textOf(field.data);
    } else if (isSnapshot && field.number === TYPE) {
      actrType = textOf(field.data);
    } else if (isSnapshot && field.number === VERSION) {
      version = field.value;
    }
    await rest?.();
  }
  return { replyTo: Number(replyTo), isSnapshot, actrType, version, present, next };
}

/** The actor, unless it cannot be one: another peer's mistake. */
async function readOne(data: Uint8Array, read: ReadPresence): Promise<Presence | undefined> {
  if (data.length > MAX_PRESENCE_BYTES) {
    return undefined;
  }
  let body;
  try {
    body = readMessage(PRESENCE, data);
  } catch (cause) {
    throw new RemoteProtocolError("an actor that cannot be decoded", { cause });
  }
  return read(body);
}

function textOf(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

interface Field {
  readonly number: number;
  /** Of a varint. */
  readonly value: bigint;
  /** Of what has a length. */
  readonly data: Uint8Array;
}

/** The fields of a message, of the two kinds that listings have. */
export function* walk(data: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[at++];
      if (byte === undefined) {
        break;
      }
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asUintN(64, value);
      }
    }
    throw new RemoteProtocolError(`a message of ${data.length} bytes is cut short`);
  };
  while (at < data.length) {
    const tag = Number(varint());
    const value = varint();
    let length = 0;
    if (tag % 8 === 2) {
      length = Number(value);
    } else if (tag % 8 !== 0) {
      throw new RemoteProtocolError(`a field of kind ${tag % 8} in a listing`);
    }
    if (length > data.length - at) {
      throw new RemoteProtocolError(`a message of ${data.length} bytes is cut short`);
    }
    yield { number: Math.floor(tag / 8), value, data: data.subarray(at, at + length) };
    at += length;
  }
}
