// What is over a bound: an error to who sends it, and refused by who reads it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";

import { CallError, Code, LimitError, LocalProtocolError, RemoteProtocolError } from "../../../src/errors";
import { type Direction, RpcEnvelopeSchema } from "../../../src/gen/actr/envelope_pb";
import { concat, utf8 } from "../../../src/protocol/bytes";
import { channelOf, requestIdOf } from "../../../src/protocol/rpc/bounds";
import { closing, isNotStarted, readError, writeError } from "../../../src/protocol/rpc/call-errors";
import { decodeEnvelope, encodeRequest, type Request } from "../../../src/protocol/rpc/envelopes";
import { decodeChunk } from "../../../src/protocol/streams/chunks";

const REQUEST: Request = { requestId: "r1", routeKey: "a.B.C", payload: new Uint8Array(0) };

/** So many fields of a number, each with these bytes. */
function bomb(number: number, times: number, data = new Uint8Array(0)): Uint8Array {
  const field = concat([Uint8Array.of((number << 3) | 2, data.length), data]);
  return concat([utf8("\n\u0002r1"), ...Array<Uint8Array>(times).fill(field)]);
}

test("a request at every bound is sent and taken", () => {
  const id = "😀".repeat(64);
  const request = encodeRequest({
    requestId: id,
    routeKey: "k".repeat(256),
    payload: new Uint8Array(100_000).fill(7),
    timeout: 1e9,
    metadata: Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`key${n}`, "v".repeat(100)])),
    callChain: Array<string>(32).fill(id),
    traceparent: "t".repeat(128),
    tracestate: "s".repeat(1024),
  });
  const envelope = decodeEnvelope(request);
  assert.equal(envelope.payload.length, 100_000);
  assert.equal(envelope.timeoutMs, 86_400_000);
});

test("what is over a bound is an error to who sends it", () => {
  for (const more of [
    { requestId: "i".repeat(65) },
    { routeKey: "k".repeat(257) },
    { metadata: { k: "v".repeat(8192) } },
    { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ""])) },
    { callChain: Array<string>(33).fill("r") },
    { traceparent: "t".repeat(129) },
    { traceparent: "t", tracestate: "s".repeat(1025) },
  ]) {
    assert.throws(() => encodeRequest({ ...REQUEST, ...more }), LimitError);
  }
  assert.throws(() => encodeRequest({ ...REQUEST, metadata: { k: "\ud800" } }), LocalProtocolError);
  assert.throws(() => encodeRequest({ ...REQUEST, metadata: { "k\0": "" } }), LocalProtocolError);
});

test("a bomb is refused before anything is decoded", () => {
  for (const data of [bomb(6, 9000), bomb(14, 9000), bomb(15, 9000), bomb(3, 200, new Uint8Array(100))]) {
    assert.throws(() => decodeEnvelope(data), /of a message|a message of over/);
    assert.throws(() => decodeChunk(data), /of a message|a message of over/);
  }
});

test("noise is a message or the far side's fault", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 600), (noise, times) => {
      const data = concat(Array<Uint8Array>(times).fill(noise));
      requestIdOf(data);
      channelOf(data);
      for (const decode of [decodeEnvelope, decodeChunk]) {
        try {
          decode(data);
        } catch (error) {
          assert.ok(error instanceof RemoteProtocolError, String(error));
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("a direction that is below zero is none", () => {
  const data = toBinary(RpcEnvelopeSchema, create(RpcEnvelopeSchema, { requestId: "r", direction: -1 as Direction }));
  assert.throws(() => decodeEnvelope(data), /direction -1/);
});

test("an error that cannot be carried as it is goes as what can", () => {
  const error = new CallError(99 as Code, "\ud800" + "x".repeat(5000), {
    retryAfter: Number.NaN,
    details: [utf8("no Any"), new Uint8Array(70_000)],
  });
  const sent = readError(writeError(error));
  assert.deepEqual([sent.code, sent.text.length, sent.retryAfter, sent.details], [Code.UNKNOWN, 4096, null, []]);
  assert.ok(sent.text.startsWith("\\ud800x"));
});

test("an actor that closes says that nothing has run, and no other error does", () => {
  assert.ok(isNotStarted(readError(writeError(closing()))));
  assert.ok(!isNotStarted(new CallError(Code.UNAVAILABLE, "away")));
});
