// Calls that are made by descriptors alone, to a real actor of Python: all four kinds of method.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";

import { fromJson } from "@bufbuild/protobuf";
import { type Caller, join, type Joined, WireKind } from "actr";
import { WebSocket } from "ws";

import { type Contract, describe, type Offered } from "../../../console/forms/contract";
import { MAX_SHOWN, MAX_WAITING, Run } from "../../../console/forms/run";
import { MAX_TEXT } from "../../../console/forms/shown";
import type { SocketClass } from "../../../src/wire/socket";
import { Service, skip } from "../../kit/services";
import { wide, WIDE } from "../kit/wide";

const timeout = 120_000;

let signaling: Service;
let actor: Service;
let folder: string;
let me: Joined;
let caller: Caller;
let contract: Contract;

before(async () => {
  if (skip) {
    return;
  }
  signaling = await Service.signaling();
  [actor, folder] = await wide(signaling.url);
  const socket = WebSocket as unknown as SocketClass;
  me = await join(signaling.url, "acme:page@1:default", { socket, kinds: [WireKind.WEBSOCKET] });
  caller = me.to(WIDE);
  contract = await describe(caller, 30);
});
after(async () => {
  await me?.close();
  await Promise.all([actor, signaling].map((service) => service?.stop()));
  rmSync(folder ?? "", { recursive: true, force: true });
});

function method(name: string): Offered {
  return contract.services.find((service) => service.name === "wide.Wide")!.methods.find((each) => each.name === name)!;
}

const message = (name: string, json: object) => fromJson(method(name).request, json as never, { registry: contract.registry });

/** A call, and what waits until it is so. */
function run(name: string, json?: object, options: object = {}) {
  let changed = () => {};
  const made = new Run(caller, method(name), { registry: contract.registry, changed: () => changed(), ...options }, json && message(name, json));
  const until = (isSo: () => boolean) =>
    new Promise<void>((resolve) => {
      changed = () => isSo() && resolve();
      changed();
    });
  return { made, until };
}

const texts = (made: Run) => made.replies.map(({ text }) => JSON.parse(text));

test("the actor tells its services, the runtime's own among them", { skip, timeout }, () => {
  const names = contract.services.map(({ name }) => name);
  for (const name of ["wide.Wide", "actr.Reflection", "actr.Inspection"]) {
    assert.ok(names.includes(name), name);
  }
  assert.deepEqual([method("Count").kind, method("Count").payloadType, method("Fail").payloadType], ["server_stream", 2, 1]);
});

test("a call: its reply, with every kind of field, and its time", { skip, timeout }, async () => {
  const json = {
    text: "<i>", large: "18446744073709551615", data: "AAEC", colour: "GREEN", inner: { word: "w" }, numbers: [1, 2],
    counts: { a: "1" }, id: "7", at: "2026-01-31T12:00:00Z", lasts: "1.500s", anything: { a: [1] }, wrapped: "9",
  };
  const { made } = run("Echo", json);
  await made.over;
  assert.deepEqual([made.state, made.error, made.received], ["done", undefined, 1]);
  assert.deepEqual(texts(made), [json]);
  assert.ok(made.seconds > 0 && made.replies[0]!.bytes > 20);
});

test("a stream of replies is kept up to its bound, and the rest counted", { skip, timeout }, async () => {
  const { made } = run("Count", { times: MAX_SHOWN + 20, letters: 3 });
  await made.over;
  assert.deepEqual([made.state, made.received, made.leftOut, made.replies.length], ["done", MAX_SHOWN + 20, 20, MAX_SHOWN]);
  assert.equal(made.replies[0]!.number, 21);
  assert.deepEqual(texts(made).at(-1), { number: String(MAX_SHOWN + 20), text: "xxx" });
});

test("a reply that is too long to show is cut, and one that is far too long is shown as bytes", { skip, timeout }, async () => {
  const { made } = run("Count", { times: 2, letters: 100_000 });
  await made.over;
  assert.deepEqual(made.replies.map(({ text, isCut, bytes }) => [text.length, isCut, bytes > 100_000]), [[MAX_TEXT, true, true], [MAX_TEXT, true, true]]);
  const long = run("Count", { times: 1, letters: 1_000_000 }).made;
  await long.over;
  assert.deepEqual(long.replies.map(({ isHex, isCut, isWrong }) => [isHex, isCut, isWrong]), [[true, true, false]]);
});

test("a stream of items, one after the other, ends when it is ended", { skip, timeout }, async () => {
  const { made, until } = run("Sum", { number: "40" });
  await until(() => made.sent === 1);
  assert.ok(made.send(message("Sum", { number: "2" })));
  await until(() => made.sent === 2);
  assert.deepEqual([made.state, made.received], ["running", 0]);
  made.endItems();
  assert.ok(!made.send(message("Sum", { number: "5" })), "nothing is sent behind the end");
  await made.over;
  assert.deepEqual([made.state, made.sent, texts(made)], ["done", 2, [{ number: "42" }]]);
});

test("a stream both ways answers item by item", { skip, timeout }, async () => {
  const { made, until } = run("Twice");
  for (const number of [1, 2, 3]) {
    made.send(message("Twice", { number: String(number) }));
    await until(() => made.received === number);
  }
  made.endItems();
  await made.over;
  assert.deepEqual([made.state, texts(made).map(({ number }) => number)], ["done", ["2", "4", "6"]]);
});

test("a far side that takes nothing is sent no more than so many items", { skip, timeout }, async () => {
  const never: Caller = { ...caller, clientStream: () => new Promise(() => {}) } as Caller;
  const made = new Run(never, method("Sum"), { registry: contract.registry });
  let count = 0;
  while (made.send(message("Sum", { number: "1" }))) {
    count += 1;
  }
  assert.deepEqual([count, made.waiting, made.sent], [MAX_WAITING, MAX_WAITING, 0]);
});

test("cancelling ends a call here and there, a stream too", { skip, timeout }, async () => {
  const stream = run("Count", { times: 1_000_000, intervalMs: 5 });
  await stream.until(() => stream.made.received > 2);
  stream.made.cancel();
  await stream.made.over;
  assert.equal(stream.made.state, "cancelled");
  const { made } = run("Hold", { key: "hold" });
  await run("Held", { key: "held", begun: 1 }).made.over;
  made.cancel();
  await made.over;
  assert.deepEqual([made.state, made.error], ["cancelled", undefined]);
  const held = run("Held", { key: "held", cancelled: 1 }).made;
  await held.over;
  assert.deepEqual(texts(held), [{ number: "1" }]);
});

test("a call that takes too long ends with its deadline", { skip, timeout }, async () => {
  const { made } = run("Hold", { key: "late" }, { timeout: 0.3 });
  await made.over;
  assert.equal(made.state, "failed");
  assert.match(made.error!.name, /DEADLINE_EXCEEDED|DeadlineError/);
});

test("an error has its code, its text, and details that the contract explains", { skip, timeout }, async () => {
  const { made } = run("Fail", { code: 9, text: "<b>not now</b>" });
  await made.over;
  const { name, text, domain, details } = made.error!;
  assert.deepEqual([made.state, name, text, domain], ["failed", "FAILED_PRECONDITION", "<b>not now</b>", "wide"]);
  assert.deepEqual(details.map(({ type, text }) => [type, JSON.parse(text)]), [["wide.FailRequest", { code: 9, text: "<b>not now</b>" }]]);
});

test("a reply that is none is shown as bytes, and ends the call", { skip, timeout }, async () => {
  const odd: Caller = { ...caller, unary: async () => Uint8Array.of(10, 200) as never } as Caller;
  const made = new Run(odd, method("Echo"), { registry: contract.registry }, message("Echo", {}));
  await made.over;
  assert.deepEqual([made.state, made.replies[0]!.isHex, made.error!.name], ["failed", true, "RemoteProtocolError"]);
});

test("an actor that tells no contract is said to be so, with its setting", { skip, timeout }, async (t) => {
  const [silent, where] = await wide(signaling.url, { ACTR_ACTOR__REFLECTION: "false" }, "acme:wide@2:default");
  t.after(async () => {
    await silent.stop();
    rmSync(where, { recursive: true, force: true });
  });
  await assert.rejects(describe(me.to("acme:wide@2:default"), 30), /UNIMPLEMENTED/);
  await assert.rejects(describe(me.to("acme:wide@2:default"), 30), /actor\.reflection/);
});
