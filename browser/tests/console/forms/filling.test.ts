// A request as a form and as JSON: one value, shown two ways; and what a call takes beside it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createRegistry, toJson } from "@bufbuild/protobuf";
import { PayloadType } from "actr";

import type { Offered } from "../../../console/forms/contract";
import { Filling } from "../../../console/forms/filling";
import { askedOf } from "../../../console/view/call/options";
import { file_wide } from "../../gen/wide_pb";

const registry = createRegistry(file_wide);

function filling() {
  const [desc] = file_wide.messages.filter(({ name }) => name === "CountRequest");
  const method: Offered = {
    routeKey: "wide.Wide.Count",
    name: "Count",
    kind: "server_stream",
    payloadType: PayloadType.STREAM_RELIABLE,
    request: desc!,
    reply: desc!,
    handlerTimeout: 0,
    isIdempotent: false,
    requires: [],
    comment: "",
  };
  return { made: new Filling(method, registry), desc: desc! };
}

test("what is written as JSON is in the form, and back", () => {
  const { made, desc } = filling();
  made.turn("json");
  assert.equal(made.text, "{}");
  made.text = '{"times": 3, "interval_ms": 5}';
  made.turn("form");
  assert.deepEqual([made.mode, made.trouble], ["form", ""]);
  const { message } = made.read();
  assert.deepEqual(toJson(desc, message!), { times: 3, intervalMs: 5 });
  made.turn("json");
  assert.deepEqual(JSON.parse(made.text), { times: 3, intervalMs: 5 });
});

test("JSON that is no such message stays JSON, is told in words, and makes no message", () => {
  const { made } = filling();
  made.turn("json");
  made.text = '{"times": -1}';
  const { message, whole } = made.read();
  assert.equal(message, undefined);
  assert.match(whole, /times/);
  made.turn("form");
  assert.equal(made.mode, "json");
  assert.match(made.trouble, /times/);
  made.clear();
  assert.deepEqual([made.text, made.trouble, made.read().whole], ["{}", "", ""]);
});

test("a deadline and metadata are read as they are typed, or told to be wrong", () => {
  assert.deepEqual(askedOf({ timeout: "", metadata: "" }), [{}, ""]);
  assert.deepEqual(askedOf({ timeout: " 1.5 ", metadata: "a = b=c\n\n key=\n" }), [{ timeout: 1.5, metadata: { a: "b=c", key: "" } }, ""]);
  for (const timeout of ["0", "-1", "soon", "1e9", "NaN"]) {
    assert.match(askedOf({ timeout, metadata: "" })[1], /deadline/, timeout);
  }
  assert.match(askedOf({ timeout: "", metadata: "no value" })[1], /key = value/);
  const many = Array.from({ length: 65 }, (_, at) => `k${at} = v`).join("\n");
  assert.match(askedOf({ timeout: "", metadata: many })[1], /at most 64/);
});
