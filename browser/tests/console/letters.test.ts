// Dead letters without a page: pages of them, what is in one, and why something was refused.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";
import { CallError, type Caller, Code } from "actr";

import type { Contract } from "../../console/forms/contract";
import { DeadLetterSchema } from "../../console/gen/actr/services/inspection_pb";
import { Letters, opened, type Page, PAGE, wordsOf } from "../../console/letters/letters";
import { RpcEnvelopeSchema } from "../../src/gen/actr/envelope_pb";

/** An actor with so many letters, numbered from 1, that tells more than it is asked for if `isLoud`. */
function caller(count: number, { isLoud = false } = {}) {
  const asked: { after: bigint; limit: number; sender: string }[] = [];
  const told: Caller = {
    async *serverStream(_: unknown, request: any) {
      const { after = 0n, limit = 100, sender = "" } = request;
      asked.push({ after, limit, sender });
      const last = isLoud ? count : Math.min(count, Number(after) + limit);
      for (let number = Number(after) + 1; number <= last; number++) {
        yield create(DeadLetterSchema, { number: BigInt(number) });
      }
    },
  } as never;
  return { told, asked };
}

const numbers = (page: Page | undefined) => page!.letters.map(({ number }) => Number(number));
const never = new AbortController().signal;

test("pages follow each other by the number of the last letter, and back", async () => {
  const { told, asked } = caller(2 * PAGE + 3);
  const letters = new Letters(told, { by: "sender", text: "ann" }, never);
  const first = (await letters.first())!;
  assert.deepEqual([numbers(first)[0], numbers(first).length, first.isMore, letters.mayGoBack], [1, PAGE, true, false]);
  const second = (await letters.next(first))!;
  const third = (await letters.next(second))!;
  assert.deepEqual([numbers(third), third.isMore, letters.mayGoBack], [[101, 102, 103], false, true]);
  assert.deepEqual(numbers(await letters.again()), [101, 102, 103]);
  assert.deepEqual(numbers(await letters.back()), numbers(second));
  assert.deepEqual(numbers(await letters.back()), numbers(first));
  assert.deepEqual(asked[1], { after: BigInt(PAGE), limit: PAGE + 1, sender: "ann" });
});

/** An actor whose answers come when they are let, in any order. */
function slowly(count: number) {
  const { told } = caller(count);
  const asked: { answer(): void; refuse(why: Error): void; signal: AbortSignal }[] = [];
  const slow: Caller = {
    async *serverStream(method: never, request: never, options: { signal: AbortSignal }) {
      await new Promise<void>((answer, refuse) => asked.push({ answer, refuse, signal: options.signal }));
      yield* told.serverStream(method, request);
    },
  } as never;
  return { slow, asked };
}

async function onSecondPage() {
  const { slow, asked } = slowly(4 * PAGE);
  const letters = new Letters(slow, { by: "route", text: "" }, never);
  const first = letters.first();
  asked[0]!.answer();
  const second = letters.next((await first)!);
  asked[1]!.answer();
  return { letters, asked, second: (await second)! };
}

test("a read ends the one before it, whose answer changes nothing however late it comes", async () => {
  const { letters, asked, second } = await onSecondPage();
  const [third, back] = [letters.next(second), letters.back()];
  assert.deepEqual([asked[2]!.signal.aborted, asked[3]!.signal.aborted], [true, false]);
  asked[3]!.answer();
  assert.equal(numbers(await back)[0], 1);
  asked[2]!.answer();
  assert.equal(await third, undefined);
  assert.ok(!letters.mayGoBack);
  const again = letters.again();
  asked[4]!.answer();
  assert.equal(numbers(await again)[0], 1);
});

test("a page that is being read is read again, and not the one before it", async () => {
  const { letters, asked, second } = await onSecondPage();
  const [third, again] = [letters.next(second), letters.again()];
  asked[2]!.refuse(new Error("ended"));
  assert.equal(await third, undefined);
  asked[3]!.answer();
  assert.equal(numbers(await again)[0], 2 * PAGE + 1);
  const back = letters.back();
  asked[4]!.answer();
  assert.equal(numbers(await back)[0], PAGE + 1);
});

test("a read that fails leaves the page that is shown, and the way from it", async () => {
  const { letters, asked, second } = await onSecondPage();
  const back = letters.back();
  asked[2]!.refuse(new Error("away"));
  await assert.rejects(back, /away/);
  const again = letters.again();
  asked[3]!.answer();
  assert.deepEqual(numbers(await again), numbers(second));
  assert.ok(letters.mayGoBack);
});

test("who stops hears nothing of what was being read", async () => {
  const { letters, asked, second } = await onSecondPage();
  const third = letters.next(second);
  letters.stop();
  assert.ok(asked[2]!.signal.aborted);
  asked[2]!.answer();
  assert.equal(await third, undefined);
});

test("an actor that tells more letters than were asked for is not listened to any longer", async () => {
  const page = (await new Letters(caller(100_000, { isLoud: true }).told, { by: "route", text: "" }, never).first())!;
  assert.deepEqual([page.letters.length, page.isMore], [PAGE, true]);
});

test("an envelope is taken apart, by no contract as bytes, and one that is none as it came", () => {
  const empty: Contract = { services: [], registry: {} as never };
  const envelope = toBinary(RpcEnvelopeSchema, create(RpcEnvelopeSchema, { payload: Uint8Array.of(1, 255), metadata: { a: "b" }, timeoutMs: 1500 }));
  const letter = create(DeadLetterSchema, { number: 7n, envelope, routeKey: "a.S.M" });
  for (const known of [undefined, empty]) {
    const { payload, type, metadata, timeoutMs } = opened(letter, known);
    assert.deepEqual([payload.isHex, payload.bytes, payload.isWrong, type, metadata, timeoutMs], [true, 2, false, "", [["a", "b"]], 1500]);
    assert.match(payload.text, /^0000 {2}01 ff/);
  }
  const { payload } = opened(create(DeadLetterSchema, { envelope: Uint8Array.of(255) }), undefined);
  assert.deepEqual([payload.isWrong, payload.bytes], [true, 1]);
});

test("who may not is told by which setting, or that rules do not let it", () => {
  const said = (code: Code, text: string) => wordsOf(new CallError(code, text));
  assert.match(said(Code.PERMISSION_DENIED, "x lets others look, and change nothing (actor.inspection)"), /ACTR_ACTOR__INSPECTION=operate/);
  assert.match(said(Code.PERMISSION_DENIED, "no rule allows it"), /access rules.*no rule allows it/);
  assert.match(said(Code.UNIMPLEMENTED, "x lets nobody look in (actor.inspection)"), /ACTR_ACTOR__INSPECTION=look/);
  assert.equal(said(Code.UNAVAILABLE, "disk I/O error"), "UNAVAILABLE: disk I/O error");
});
