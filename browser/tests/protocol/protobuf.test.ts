// The tables are the contracts', and what they read and write is what the library does.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

import * as pb from "../../src/gen/actr/envelope_pb";
import * as signalingPb from "../../src/gen/actr/signaling_pb";
import { concat } from "../../src/protocol/bytes";
import { read, type Table, write } from "../../src/protocol/protobuf";
import * as tables from "../../src/protocol/rpc/tables";
import * as signaling from "../../src/protocol/signaling/tables";
import * as webrtc from "../../src/protocol/webrtc/tables";
import { WIRE_HANDSHAKE } from "../../src/protocol/websocket/tables";

const TABLES: [Table<any>, DescMessage][] = [
  [tables.ANY, AnySchema],
  [tables.ACTR_ID, pb.ActrIdSchema],
  [tables.RPC_ERROR, pb.RpcErrorSchema],
  [tables.RPC_ENVELOPE, pb.RpcEnvelopeSchema],
  [tables.STREAM_CHUNK, pb.StreamChunkSchema],
  [WIRE_HANDSHAKE, pb.WireHandshakeSchema],
  [webrtc.DESCRIPTION_STATEMENT, signalingPb.DescriptionStatementSchema],
  [signaling.CLIENT_MESSAGE, signalingPb.ClientMessageSchema],
  [signaling.SERVER_MESSAGE, signalingPb.ServerMessageSchema],
];

/** The table that a descriptor asks for, nested ones too. */
function expected(schema: DescMessage): unknown[] {
  return schema.fields.map((field) => ({
    number: field.number,
    name: field.localName,
    type: typeOf(field),
    ...(field.fieldKind === "list" && { isRepeated: true }),
    ...(field.oneof && { oneof: field.oneof.localName }),
  }));
}

function typeOf(field: DescMessage["fields"][number]): unknown {
  if (field.fieldKind === "map") {
    return "map";
  }
  if (field.fieldKind === "enum") {
    return "int32";
  }
  if (field.message !== undefined) {
    // What is only handed on is bytes here.
    return field.message.typeName === "google.protobuf.Any" ? "bytes" : expected(field.message);
  }
  return ScalarType[field.scalar!].toLowerCase();
}

function found({ fields }: Table<unknown>): unknown[] {
  return fields.map((field) =>
    typeof field.type === "string" ? field : { ...field, type: found(field.type) },
  );
}

for (const [table, schema] of TABLES) {
  test(`a table is what its contract says: ${schema.typeName}`, () => {
    assert.deepEqual(found(table), expected(schema));
  });
}

const U32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const U64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const TEXT = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !text.includes("__proto__"));
const BYTES = fc.uint8Array({ maxLength: 300 });
const ENVELOPE = fc.record(
  {
    requestId: TEXT,
    direction: fc.integer({ min: 0, max: 3 }),
    routeKey: TEXT,
    payload: BYTES,
    metadata: fc.dictionary(TEXT, TEXT, { maxKeys: 4 }),
    timeoutMs: U32,
    traceparent: TEXT,
    stream: fc.record({ channelId: TEXT, creditMessages: U32, creditBytes: U64 }),
    callNumber: U64,
    storeId: U64,
    callChain: fc.array(TEXT, { maxLength: 4 }),
  },
  { requiredKeys: [] },
);
const CHUNK = fc.record(
  {
    channelId: TEXT,
    sequence: U64,
    data: BYTES,
    control: fc.oneof(
      fc.record({ case: fc.constant("end" as const), value: fc.boolean() }),
      fc.record({ case: fc.constant("cancel" as const), value: fc.boolean() }),
      fc.record({ case: fc.constant("credit" as const), value: fc.record({ messages: U32, bytes: U64 }) }),
    ),
    sentAt: U64,
  },
  { requiredKeys: [] },
);

/** Without what the library adds, and with plain bytes. */
function plain(message: unknown): unknown {
  const skip = (key: string, value: unknown) => {
    if (key === "$typeName") {
      return undefined;
    }
    return typeof value === "bigint" ? `${value}n` : value instanceof Uint8Array ? [...value] : value;
  };
  return JSON.parse(JSON.stringify(message, skip));
}

test("messages are the bytes that the library makes, and read as it reads them", () => {
  for (const [values, table, schema] of [
    [ENVELOPE, tables.RPC_ENVELOPE, pb.RpcEnvelopeSchema],
    [CHUNK, tables.STREAM_CHUNK, pb.StreamChunkSchema],
  ] as [fc.Arbitrary<any>, Table<any>, DescMessage][]) {
    fc.assert(
      fc.property(values, values, (one, other) => {
        const bytes = write(table, one);
        assert.deepEqual(bytes, toBinary(schema, create(schema, one)));
        assert.deepEqual(plain(read(table, bytes)), plain(fromBinary(schema, bytes)));
        // Fields that come twice: the last one counts, and messages are merged.
        const both = concat([bytes, write(table, other)]);
        assert.deepEqual(plain(read(table, both)), plain(fromBinary(schema, both)));
      }),
      { numRuns: 300 },
    );
  }
});

test("noise is a message, or an error that says so", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
      try {
        read(tables.STREAM_CHUNK, noise);
      } catch (error) {
        // A RangeError would be a read beyond the end.
        assert.ok(error instanceof Error && !(error instanceof RangeError));
      }
    }),
    { numRuns: 500 },
  );
});

test("metadata may have any key, and overlong numbers are numbers", () => {
  const bytes = write(tables.RPC_ENVELOPE, { requestId: "r", metadata: JSON.parse('{"__proto__": "x"}') });
  assert.deepEqual(Object.entries(read(tables.RPC_ENVELOPE, bytes).metadata), [["__proto__", "x"]]);
  const overlong = Uint8Array.of(0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 0x72);
  assert.equal(read(tables.RPC_ENVELOPE, overlong).requestId, "r");
  assert.throws(() => read(tables.RPC_ENVELOPE, Uint8Array.of(0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x01, 0x72)));
});
