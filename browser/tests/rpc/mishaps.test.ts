// What goes wrong on one side harms nothing else: a handler's time, refusals, and what they leave behind.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CallError, Code, LimitError } from "../../src/errors";
import { refusal } from "../../src/protocol/rpc/contracts";
import { encodeStreamCancel } from "../../src/protocol/streams/chunks";
import { Contracts } from "../../src/rpc/contracts";
import { actor } from "../../src/rpc/peer";
import { Turns } from "../../src/rpc/turns";
import { type Context, type Method, route } from "../../src/service";
import { say } from "../../src/transport/stream-writer";
import { pause, SAY, text, type Text, until, UPLOAD } from "../kit/contract";
import { Pair } from "../kit/wires";

const HELD = { ...SAY, routeKey: "talk.Talk.Held" };
const TIMED = { ...SAY, routeKey: "talk.Talk.Timed", handlerTimeout: 0.1 };
const GUARDED = { ...SAY, routeKey: "talk.Talk.Guarded", requires: ["role"] };
const COUNTED = { ...UPLOAD, routeKey: "talk.Talk.Counted", handlerTimeout: 0.1 };
const BROKEN = { ...SAY, routeKey: "talk.Talk.Broken" };
/** The number of another contract, which says the same. */
const OTHER = { ...SAY, contract: 7n };

function isCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof CallError && error.code === code;
}

async function between(work: (pair: Pair, ran: string[], release: () => void) => Promise<void>): Promise<void> {
  const ran: string[] = [];
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  const note = (request: Text) => {
    ran.push(request.value);
    return request;
  };
  const routes = [
    route(SAY, note),
    route(GUARDED, note),
    route(HELD, async (request: Text) => {
      note(request);
      await released;
      return request;
    }),
    route(TIMED, async (request: Text, context: Context) => {
      note(request);
      if (request.value === "slow") {
        await pause(10, context.signal);
      }
      return text(String(context.timeLeft()! > 0.05));
    }),
    route(COUNTED, async (requests: AsyncIterable<Text>) => {
      for await (const request of requests) {
        note(request);
      }
      return text("counted");
    }),
    route(BROKEN, () => {
      throw new TypeError("a bug");
    }),
  ];
  const failed = () => {
    throw new Error("what hears of bugs has one");
  };
  const pair = new Pair({ far: { actor: actor(routes, failed) } });
  try {
    await work(pair, ran, release);
  } finally {
    release();
    await pair.close();
  }
}

/** Runs `work` with what is logged in a list. */
async function logged(work: () => Promise<void>): Promise<unknown[]> {
  const found: unknown[] = [];
  const plain = console.error;
  console.error = (...words: unknown[]) => found.push(...words);
  try {
    await work();
  } finally {
    console.error = plain;
  }
  return found;
}

async function* two(): AsyncGenerator<Text> {
  yield text("one");
  yield text("two");
}

test("a handler's time begins with its turn, not with its request", () =>
  between(async ({ near }, ran, release) => {
    const held = near.client().unary(HELD, text("held"));
    await until(() => ran.length > 0);
    const timed = near.client().unary(TIMED, text("timed"));
    const counted = near.client().clientStream(COUNTED, two());
    await near.client().tell(TIMED, text("told"));
    await pause(0.2);
    release();
    assert.equal((await timed).value, "true");
    assert.equal((await counted).value, "counted");
    await held;
    await until(() => ran.length === 5);
    assert.deepEqual([...ran].sort(), ["held", "one", "timed", "told", "two"]);
  }));

test("a handler that takes longer than it may is ended, where its caller would wait on", () =>
  between(async ({ near }) => {
    await assert.rejects(near.client().unary(TIMED, text("slow")), isCode(Code.DEADLINE_EXCEEDED));
    assert.equal((await near.client().unary(SAY, text("next"))).value, "next");
  }));

test("a method that requires claims is refused, and does not run", () =>
  between(async ({ near }, ran) => {
    await assert.rejects(near.client().unary(GUARDED, text("x")), isCode(Code.PERMISSION_DENIED));
    assert.deepEqual(ran, []);
  }));

test("a failure of what hears of failures keeps neither its caller nor others waiting", async () => {
  const words = await logged(() =>
    between(async ({ near }) => {
      await assert.rejects(near.client().unary(BROKEN, text("x"), { timeout: 5 }), isCode(Code.INTERNAL));
      assert.equal((await near.client().unary(SAY, text("next"), { timeout: 5 })).value, "next");
    }),
  );
  assert.match(String(words), /what hears of bugs has one/);
});

test("a turn that fails is followed by the next", async () => {
  const turns = new Turns();
  const words = await logged(async () => {
    turns.submit(0, () => Promise.reject(new Error("a turn")));
    await new Promise<void>((done) => turns.submit(0, async () => done()));
  });
  assert.match(String(words), /a turn/);
});

test("a remote that takes no word about streams is dropped, and who says it goes on", () =>
  between(async ({ near, wires }) => {
    await until(() => near.link.isReady);
    wires.forEach((wire) => (wire.isDead = true));
    for (let count = 0; count < 70_000; count++) {
      say(near.link, encodeStreamCancel("c"));
    }
    assert.match(String(near.link.refusal()), /posted and not taken/);
  }));

test("calls and streams that come to nothing leave nothing in the link", () =>
  between(async ({ near }) => {
    const client = near.client();
    await assert.rejects(client.clientStream(UPLOAD, two()), isCode(Code.UNIMPLEMENTED));
    await assert.rejects(client.unary(SAY, text("x".repeat(17 << 20))), LimitError);
    const options = { metadata: { long: "x".repeat(1 << 20) } };
    await assert.rejects(client.clientStream(COUNTED, two(), options));
    await assert.rejects(client.bidiStream({ ...UPLOAD, kind: "bidi_stream" }, two()).next());
    assert.equal(near["server"].isInUse, false);
  }));

test("what is heard of a process that is gone is not believed of the next", async () => {
  const contracts = new Contracts("acme:far@1:default");
  const told = refusal(SAY, 7n)!;
  const learning = contracts.learn(OTHER, told, 0);
  contracts.forget();
  assert.equal(await learning, true, "the next is asked by the number that is had here");
  assert.equal(contracts.number(OTHER), 7n);
  assert.equal(await contracts.learn(OTHER, told, 0), true);
  assert.equal(contracts.number(OTHER), SAY.contract);
});

test("what a refusal of a contract tells is made once", () => {
  const method: Method = { ...SAY };
  assert.equal(refusal(method, 7n), refusal(method, 8n));
  assert.equal(refusal(method, SAY.contract), null);
});
