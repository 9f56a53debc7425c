// Calls of all kinds between two peers in one process, over wires that are cut.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CallError, Code, DeadlineError, LimitError } from "../../src/errors";
import { WireKind } from "../../src/protocol/payload";
import { actor } from "../../src/rpc/peer";
import { type Context, route } from "../../src/service";
import { CHAT, CURSOR, LIST, pause, SAY, text, type Text, until, UPLOAD, URGENT } from "../kit/contract";
import { Pair } from "../kit/wires";

/** What the far side has seen. */
function talk() {
  const seen = { said: [] as string[], left: 0, uploaded: 0, failures: [] as unknown[] };
  const routes = [
    route(SAY, async (request: Text, context: Context) => {
      seen.said.push(request.value);
      if (request.value === "slow") {
        try {
          await pause(5, context.signal);
        } catch (error) {
          seen.left++;
          throw error;
        }
      }
      if (request.value === "no") {
        throw new CallError(Code.NOT_FOUND, "none", { domain: "test" });
      }
      if (request.value === "bug") {
        throw new TypeError("secret inside");
      }
      if (request.value === "long") {
        return text("x".repeat(17 * 1024 * 1024));
      }
      return text(`${request.value} to ${context.caller} ${context.metadata.key ?? ""}`.trim());
    }),
    route(URGENT, (request: Text) => text(request.value)),
    route(LIST, async function* (request: Text, context: Context) {
      try {
        for (let number = 0; number < Number(request.value); number++) {
          yield text(String(number));
        }
        if (request.value === "-1") {
          await pause(5, context.signal);
        }
      } finally {
        seen.left++;
      }
    }),
    route(CURSOR, async function* (request: Text) {
      for (let number = 0; number < Number(request.value); number++) {
        yield text(String(number));
      }
    }),
    route(UPLOAD, async (requests: AsyncIterable<Text>) => {
      for await (const request of requests) {
        seen.uploaded++;
        if (request.value === "stop") {
          throw new CallError(Code.ABORTED, "enough");
        }
      }
      return text(String(seen.uploaded));
    }),
    route(CHAT, async function* (requests: AsyncIterable<Text>) {
      for await (const request of requests) {
        yield text(request.value.toUpperCase());
      }
    }),
  ];
  return { seen, actor: actor(routes, (error) => seen.failures.push(error)) };
}

async function* texts(count: number, ...last: string[]): AsyncGenerator<Text> {
  for (let number = 0; number < count; number++) {
    yield text(String(number));
  }
  for (const value of last) {
    yield text(value);
  }
}

async function all(replies: AsyncIterable<Text>): Promise<string[]> {
  const values: string[] = [];
  for await (const reply of replies) {
    values.push(reply.value);
  }
  return values;
}

/** Runs `work` with two peers of which the far one serves. */
async function between(
  work: (pair: Pair, seen: ReturnType<typeof talk>["seen"]) => Promise<void>,
  kinds?: WireKind[],
): Promise<void> {
  const served = talk();
  const pair = new Pair({ far: { actor: served.actor } }, kinds);
  try {
    await work(pair, served.seen);
  } finally {
    await pair.close();
  }
}

function isCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof CallError && error.code === code;
}

test("a call is answered by the handler, on either lane", () =>
  between(async ({ near }) => {
    const reply = await near.client().unary(SAY, text("hello"), { metadata: { key: "value" } });
    assert.equal(reply.value, "hello to acme:near@1:default value");
    assert.equal((await near.client().unary(URGENT, text("now"))).value, "now");
  }));

test("calls of one lane run in the order in which they were made, one at a time", () =>
  between(async ({ near }, seen) => {
    const values = Array.from({ length: 200 }, (_, number) => String(number));
    await Promise.all(values.map((value) => near.client().unary(SAY, text(value))));
    assert.deepEqual(seen.said, values);
  }));

test("an error comes as the handler meant it, a bug as its class alone", () =>
  between(async ({ near }, seen) => {
    await assert.rejects(near.client().unary(SAY, text("no")), isCode(Code.NOT_FOUND));
    await assert.rejects(
      near.client().unary(SAY, text("bug")),
      (error: CallError) =>
        error.code === Code.INTERNAL && /TypeError/.test(error.text) && !/secret/.test(error.text),
    );
    assert.equal(seen.failures.length, 1);
  }));

test("what has no handler is refused", () =>
  between(async ({ far }) => {
    await assert.rejects(far.client().unary(SAY, text("hello")), isCode(Code.UNIMPLEMENTED));
    await assert.rejects(all(far.client().serverStream(LIST, text("1"))), isCode(Code.UNIMPLEMENTED));
    await assert.rejects(far.client().clientStream(UPLOAD, texts(1)), isCode(Code.UNIMPLEMENTED));
  }));

test("a call whose time is over fails, and its handler is cancelled", () =>
  between(async ({ near }, seen) => {
    await assert.rejects(near.client().unary(SAY, text("slow"), { timeout: 0.1 }), DeadlineError);
    assert.equal((await near.client().unary(SAY, text("next"))).value, "next to acme:near@1:default");
    assert.equal(seen.left, 1);
  }));

test("aborting a call cancels its handler, and one that waits never runs", () =>
  between(async ({ near }, seen) => {
    const [first, second] = [new AbortController(), new AbortController()];
    const slow = near.client().unary(SAY, text("slow"), { signal: first.signal });
    const waiting = near.client().unary(SAY, text("waits"), { signal: second.signal });
    const [slowEnds, waitingEnds] = [assert.rejects(slow, /left/), assert.rejects(waiting, /too/)];
    await until(() => seen.said.length > 0);
    second.abort(new Error("left too"));
    first.abort(new Error("left"));
    await Promise.all([slowEnds, waitingEnds]);
    await near.client().unary(SAY, text("next"));
    assert.deepEqual([seen.left, seen.said], [1, ["slow", "next"]]);
  }));

test("a tell has no answer, and arrives before what is called behind it", () =>
  between(async ({ near }, seen) => {
    await near.client().tell(SAY, text("told"));
    await near.client().unary(SAY, text("called"));
    assert.deepEqual(seen.said, ["told", "called"]);
  }));

test("a reply that the caller does not take is told in its place", () =>
  between(async ({ near }) => {
    await assert.rejects(near.client().unary(SAY, text("long")), isCode(Code.RESOURCE_EXHAUSTED));
    await assert.rejects(near.client().unary(SAY, text("x".repeat(17 << 20))), LimitError);
  }));

test("a stream of replies comes whole and in order, however slow its reader", () =>
  between(async ({ near }) => {
    const replies = await all(near.client().serverStream(LIST, text("500")));
    assert.deepEqual(replies, Array.from({ length: 500 }, (_, number) => String(number)));
    assert.equal((await all(near.client().serverStream(CURSOR, text("5")))).length, 5);
  }));

test("leaving a stream of replies ends its handler", () =>
  between(async ({ near }, seen) => {
    for await (const reply of near.client().serverStream(LIST, text("100000"))) {
      if (reply.value === "3") {
        break;
      }
    }
    const controller = new AbortController();
    const waiting = all(near.client().serverStream(LIST, text("-1"), { signal: controller.signal }));
    await pause(0.05);
    controller.abort(new Error("left"));
    await assert.rejects(waiting, /left/);
    await until(() => seen.left === 2);
    assert.equal(seen.left, 2);
  }));

test("a stream of replies has a deadline", () =>
  between(async ({ near }) => {
    await assert.rejects(all(near.client().serverStream(LIST, text("-1"), { timeout: 0.1 })), DeadlineError);
  }));

test("a stream of requests is answered by one reply, or by an error that stops it", () =>
  between(async ({ near }, seen) => {
    assert.equal((await near.client().clientStream(UPLOAD, texts(300))).value, "300");
    const stopped = near.client().clientStream(UPLOAD, texts(3, "stop", "more"));
    await assert.rejects(stopped, isCode(Code.ABORTED));
    assert.equal(seen.uploaded, 304);
  }));

test("a stream of requests that fails is no shorter one", () =>
  between(async ({ near }, seen) => {
    const failing = (async function* () {
      yield text("one");
      throw new Error("disk");
    })();
    await assert.rejects(near.client().clientStream(UPLOAD, failing), /disk/);
    await until(() => seen.uploaded > 0);
    assert.equal(seen.uploaded, 1);
  }));

test("a stream both ways talks in turns", () =>
  between(async ({ near }) => {
    assert.deepEqual(await all(near.client().bidiStream(CHAT, texts(0, "a", "b", "c"))), ["A", "B", "C"]);
  }));

for (const kinds of [[WireKind.WEBSOCKET], [WireKind.WEBRTC, WireKind.WEBSOCKET]]) {
  test(`cuts lose, double and reorder nothing: ${kinds.join(" and ")}`, () =>
    between(async (pair, seen) => {
      const values = Array.from({ length: 300 }, (_, number) => String(number));
      const calls = (async () => {
        const replies: string[] = [];
        for (const value of values) {
          const { value: reply } = await pair.near.client().unary(SAY, text(value));
          replies.push(reply.split(" ")[0]!);
        }
        return replies;
      })();
      const upload = pair.near.client().clientStream(UPLOAD, texts(3000));
      const list = all(pair.near.client().serverStream(LIST, text("3000")));
      for (let cut = 0; cut < 3; cut++) {
        await until(() => pair.near.link.isReady); // one that never was is given up
        await pause(0.02);
        pair.cut();
        pair.near.link.networkChanged(); // dials at once, where a lost wire would wait a second
        await pause(0.02);
      }
      assert.deepEqual(await calls, values);
      assert.deepEqual(seen.said, values);
      assert.equal((await upload).value, "3000");
      assert.deepEqual(await list, Array.from({ length: 3000 }, (_, number) => String(number)));
    }, kinds));
}

test("a callee that restarts is asked again, and its streams end", async () => {
  const [first, second] = [talk(), talk()];
  const pair = new Pair({ far: { actor: first.actor } });
  const slow = pair.near.client().unary(SAY, text("slow"));
  const stream = assert.rejects(all(pair.near.client().serverStream(LIST, text("-1"))), /restarted/);
  await until(() => first.seen.said.length > 0);
  await pause(0.05);
  pair.far = pair.makeFar({ actor: second.actor });
  pair.cut();
  pair.near.link.networkChanged();
  await stream;
  await until(() => second.seen.said.length > 0);
  assert.deepEqual(second.seen.said, ["slow"]);
  const gone = assert.rejects(slow, /closed/);
  await pair.close();
  await gone;
});

test("calls fail with the link, and nothing can be sent after it", async () => {
  const pair = new Pair({ far: { actor: talk().actor } });
  const slow = assert.rejects(pair.near.client().unary(SAY, text("slow")), /closed the link/);
  await until(() => pair.near.link.isReady);
  await pause(0.05);
  await pair.far.link.close();
  await slow;
  await assert.rejects(pair.near.client().unary(SAY, text("late")), /gone/);
});

test("a call whose reply has come is not run again by a callee that restarts at once", async () => {
  const [first, second] = [talk(), talk()];
  const pair = new Pair({ far: { actor: first.actor } });
  const restarted = pair.near.client().unary(SAY, text("once")).then(() => {
    pair.far = pair.makeFar({ actor: second.actor });
    pair.cut();
    pair.near.link.networkChanged();
  });
  await restarted;
  await pair.near.client().unary(SAY, text("again"));
  assert.deepEqual([first.seen.said, second.seen.said], [["once"], ["again"]]);
  await pair.close();
});
