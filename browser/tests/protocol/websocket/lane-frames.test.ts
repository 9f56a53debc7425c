import assert from "node:assert/strict";
import { test } from "node:test";

import { LimitError, RemoteProtocolError } from "../../../src/errors";
import { utf8 } from "../../../src/protocol/bytes";
import { agreed, decode, encode, HANDSHAKE, MAX_DATA_BYTES } from "../../../src/protocol/websocket/lane-frames";
import { wayOf } from "../../../src/protocol/websocket/proofs";
import { hex, unhex } from "../../kit/vectors";

test("a frame is that of the document", () => {
  const frame = encode(1, utf8("hi"));
  assert.equal(hex(frame), "01000000026869");
  // Also where it lies within other bytes.
  const within = new Uint8Array([9, ...frame]).subarray(1);
  assert.deepEqual(decode(within), { type: 1, data: within.subarray(5) });
  assert.equal(hex(encode(HANDSHAKE, utf8(""))), "ff00000000");
});

test("what is shorter, longer or says another length is refused", () => {
  for (const text of ["", "01000000", "0100000001", "010000000000"]) {
    assert.throws(() => decode(unhex(text)), RemoteProtocolError);
  }
  assert.throws(() => encode(0, new Uint8Array(MAX_DATA_BYTES + 1)), LimitError);
  assert.throws(() => decode(new Uint8Array(MAX_DATA_BYTES + 6)), LimitError);
  assert.equal(decode(encode(0, new Uint8Array(MAX_DATA_BYTES))).data.length, MAX_DATA_BYTES);
});

test("the longest message is what both take, and 16 KiB at least", () => {
  assert.deepEqual([0, 1, 16_384, 50_000, 81_920, 1e6].map(agreed), [16384, 16384, 16384, 50000, 81920, 81920]);
});

test("who requires certificates dials no address without TLS", () => {
  assert.equal(wayOf("certificate", true, "ws"), "refused");
  assert.equal(wayOf("certificate", true, "wss"), "by key");
  assert.equal(wayOf("secret", true, "wss"), "by key");
  assert.equal(wayOf("secret", false, "wss"), "by name");
  assert.equal(wayOf("nothing", false, "ws"), "plain");
});
