import assert from "node:assert/strict";
import { test } from "node:test";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { RpcEnvelopeSchema } from "../src/gen/actr/envelope_pb";

test("an envelope goes to bytes and back", () => {
  const made = create(RpcEnvelopeSchema, { requestId: "1" });
  assert.equal(fromBinary(RpcEnvelopeSchema, toBinary(RpcEnvelopeSchema, made)).requestId, "1");
});
