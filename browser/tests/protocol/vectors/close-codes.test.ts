// Why a WebSocket closes, as `proto/vectors/close_codes.json` has it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CloseCode, isSendable } from "../../../src/protocol/wire/close-codes";
import { each, vectors } from "../../kit/vectors";

test("a code has one name on wires and at signaling", () => {
  const listed = [...vectors("close_codes", "wire"), ...vectors("close_codes", "signaling")];
  const names = new Map(listed.map((row) => [row.code, row.name]));
  const own = Object.entries(CloseCode).filter(([, code]) => typeof code === "number");
  assert.deepEqual(new Map(own.map(([name, code]) => [code, name])), names);
});

each("close_codes", "sendable", "a close frame may hold a code, or not", (vector) => {
  assert.equal(isSendable(vector.code), vector.is_sendable);
});
