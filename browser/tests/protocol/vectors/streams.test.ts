// Openings and chunks of streams, as `proto/vectors/streams.json` has them.

import assert from "node:assert/strict";

import { RemoteProtocolError } from "../../../src/errors";
import { channelOf } from "../../../src/protocol/rpc/bounds";
import { decodeEnvelope } from "../../../src/protocol/rpc/envelopes";
import {
  type Chunk,
  decodeChunk,
  encodeCredit,
  encodeEnd,
  encodeItem,
  encodeStreamCancel,
} from "../../../src/protocol/streams/chunks";
import * as envelopes from "../../kit/envelopes";
import { each, hex, unhex } from "../../kit/vectors";

/** The chunk as this side makes it. */
function write(fields: any): Uint8Array {
  const { channel_id: name, opening = 0, sequence = 0 } = fields;
  switch (fields.word) {
    case undefined:
      return encodeItem(name, sequence, unhex(fields.data ?? ""), { metadata: fields.metadata, opening });
    case "credit":
      return encodeCredit(name, { items: fields.messages, size: fields.bytes }, opening);
    case "cancel":
      return encodeStreamCancel(name, opening);
  }
  return encodeEnd(name, sequence, fields.error ? envelopes.errorOf(fields.error) : null, opening);
}

/** The fields that are set. */
function fieldsOf(chunk: Chunk): Record<string, any> {
  const read = envelopes.filled({
    channel_id: chunk.channelId,
    sequence: chunk.sequence,
    data: hex(chunk.data),
    metadata: { ...chunk.metadata },
    opening: chunk.opening,
    word: chunk.kind === "item" ? "" : chunk.kind,
    error: chunk.error && envelopes.fieldsOfError(chunk.error),
  });
  const { items: messages, size: bytes } = chunk.credit;
  return chunk.kind === "credit" ? { ...read, messages, bytes } : read;
}

each("streams", "openings", "an opening is these fields and these bytes", (vector) => {
  const opening = decodeEnvelope(unhex(vector.hex));
  assert.ok(opening.stream);
  assert.deepEqual(envelopes.fieldsOf(opening), vector.fields);
  assert.equal(hex(envelopes.write(vector.fields)), vector.hex);
});

each("streams", "chunks", "a chunk is these fields and these bytes", (vector) => {
  const chunk = decodeChunk(unhex(vector.hex));
  assert.deepEqual(fieldsOf(chunk), vector.fields);
  assert.equal(2 * chunk.size, vector.hex.length);
  assert.equal(hex(write(vector.fields)), vector.hex);
});

each("streams", "other_forms", "what protobuf allows is read by presence", (vector) => {
  assert.deepEqual(fieldsOf(decodeChunk(unhex(vector.hex))), vector.fields);
});

each("streams", "malformed", "a malformed chunk is refused on its channel where known", (vector) => {
  const data = unhex(vector.hex);
  assert.throws(
    () => decodeChunk(data),
    (error: Error) => error instanceof RemoteProtocolError && error.message.includes(vector.error),
  );
  const expected = vector.channel ? { channelId: vector.channel, opening: vector.opening } : null;
  assert.deepEqual(channelOf(data), expected);
});
