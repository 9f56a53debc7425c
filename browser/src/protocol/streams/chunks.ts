// One item of a stream, or word about the stream (docs/protocol/streams.md).

import { type CallError, LimitError, LocalProtocolError, RemoteProtocolError } from "../../errors";
import { characters, isWellFormed } from "../bytes";
import { type Init, read, write } from "../protobuf";
import * as bounds from "../rpc/bounds";
import { readError, writeError } from "../rpc/call-errors";
import { STREAM_CHUNK, type StreamChunk } from "../rpc/tables";

/** What a chunk says; of the fields of its `oneof`, presence counts and not the value. */
export type Kind =
  | "item"
  /** The sender's half ended well; `sequence` is the count of its items. */
  | "end"
  /** The sender's half ended with `error`. */
  | "error"
  /** From the receiver: produce no more. */
  | "cancel"
  /** From the receiver: what it takes beyond what was granted before. */
  | "credit";

/** What a reader takes. */
export interface Credit {
  readonly items: number;
  /** Bytes, each item counted as its whole `StreamChunk` message; 0: no limit. */
  readonly size: number;
}

const NO_CREDIT: Credit = { items: 0, size: 0 };

/** One decoded `StreamChunk`: an item, or word about the stream. */
export interface Chunk {
  readonly kind: Kind;
  readonly channelId: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly metadata: bounds.Metadata;
  readonly error: CallError | null;
  readonly credit: Credit;
  /** Which opening of a named channel it is of; 0: not said. */
  readonly opening: number;
  /** Bytes of the whole message. */
  readonly size: number;
  /**
   * Of a latency-first item: when its writer took it, microseconds of the clock there; 0: not said.
   */
  readonly sentAt: number;
  /** The same by the clock here, seconds; Infinity: not known. */
  bornAt: number;
}

/** Holds the name of a channel to its bounds; throws `LimitError` or `LocalProtocolError`. */
export function checkChannelId(channelId: string): void {
  if (channelId === "" || !isWellFormed(channelId)) {
    throw new LocalProtocolError(
      `channel id ${JSON.stringify(channelId)}: must be text in UTF-8, and have a character`,
    );
  }
  bounds.checkChars("channel id", channelId, bounds.MAX_ID_CHARS);
}

export interface ItemExtras {
  readonly metadata?: bounds.Metadata;
  readonly opening?: number;
  readonly sentAt?: number;
}

/**
 * Writes one item of a stream. Throws `LimitError` if the metadata is over its bounds,
 * `LocalProtocolError` if the metadata are no texts.
 */
export function encodeItem(
  channelId: string,
  sequence: number,
  data: Uint8Array,
  { metadata = {}, opening = 0, sentAt = 0 }: ItemExtras = {},
): Uint8Array {
  bounds.checkTexts(metadata);
  bounds.checkMetadata(metadata);
  return write(STREAM_CHUNK, {
    channelId,
    sequence: BigInt(sequence),
    data,
    metadata,
    opening: BigInt(opening),
    sentAt: BigInt(sentAt),
  });
}

/** Writes the end of a stream of `sequence` items. */
export function encodeEnd(
  channelId: string,
  sequence: number,
  error: CallError | null = null,
  opening = 0,
): Uint8Array {
  return encodeWord(
    channelId,
    error === null ? { case: "end", value: true } : { case: "error", value: writeError(error) },
    opening,
    sequence,
  );
}

/** Writes word that the receiver takes no more. */
export function encodeStreamCancel(channelId: string, opening = 0): Uint8Array {
  return encodeWord(channelId, { case: "cancel", value: true }, opening);
}

/** Writes a grant. */
export function encodeCredit(channelId: string, credit: Credit, opening = 0): Uint8Array {
  const granted = { messages: credit.items, bytes: BigInt(credit.size) };
  return encodeWord(channelId, { case: "credit", value: granted }, opening);
}

function encodeWord(
  channelId: string,
  control: Init<StreamChunk["control"]>,
  opening: number,
  sequence = 0,
): Uint8Array {
  const numbers = { sequence: BigInt(sequence), opening: BigInt(opening) };
  return write(STREAM_CHUNK, { channelId, control, ...numbers });
}

/**
 * Reads one `StreamChunk`. Throws `RemoteProtocolError` if it is not one, or breaks a bound of
 * `bounds`.
 */
export function decodeChunk(data: Uint8Array): Chunk {
  bounds.check(data, bounds.CHUNK);
  let message: StreamChunk;
  try {
    message = read(STREAM_CHUNK, data);
  } catch (cause) {
    throw new RemoteProtocolError(`undecodable stream chunk of ${data.length} bytes`, { cause });
  }
  const { channelId, metadata, control } = message;
  if (!bounds.isId(channelId)) {
    throw new RemoteProtocolError(`channel id of ${characters(channelId)} characters`);
  }
  try {
    bounds.checkMetadata(metadata);
  } catch (cause) {
    throw new RemoteProtocolError((cause as LimitError).message, { cause });
  }
  const granted = control.case === "credit" ? control.value : null;
  return {
    kind: control.case ?? "item",
    channelId,
    sequence: Number(message.sequence),
    data: message.data,
    metadata,
    error: control.case === "error" ? readError(control.value) : null,
    credit:
      granted === null ? NO_CREDIT : { items: granted.messages, size: Number(granted.bytes) },
    opening: Number(message.opening),
    size: data.length,
    sentAt: Number(message.sentAt),
    bornAt: Infinity,
  };
}
