// Whom the store has looked into, of those who come and go.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { Store } from "../../console/view/store";
import { ActrId } from "../../src/protocol/identity/ids";
import { CallError, Code } from "../../src/errors";
import type { PresenceEvent } from "../../src/protocol/signaling/presence";
import type { CallOptions, Caller } from "../../src/service";

const id = (at: number) => `acme:x@${at}:default`;
const settled = () => new Promise((resolve) => setImmediate(resolve));

function presence(text: string, incarnation = 1n): PresenceEvent["presence"] {
  const load = { mailboxBacklog: 0, powerReserve: 1 };
  return { id: ActrId.parse(text), incarnation, wsAddress: "", services: [], metadata: {}, load, epoch: 1n };
}

const join = (text: string, incarnation = 1n): PresenceEvent => ({ kind: "presence", change: "join", presence: presence(text, incarnation), version: 1n, reason: "none" });
const leave = (text: string): PresenceEvent => ({ ...join(text), change: "leave", reason: "replaced" });

/** A store whose frames come when the test says so, and the actors that it has asked. */
function storeOf(t: TestContext, present: readonly string[], answer: (id: string) => Error | undefined = () => undefined) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const frames: (() => void)[] = [];
  globalThis.requestAnimationFrame = (show) => frames.push(() => show(0));
  const store = new Store("http://127.0.0.1");
  store.realm.fill(present.map((each) => presence(each)), 0);
  const asked: string[] = [];
  store.look((each) => {
    asked.push(each);
    const serverStream = async function* (_method: unknown, _request: unknown, { signal }: CallOptions) {
      await new Promise<void>((_, reject) => {
        signal!.addEventListener("abort", () => reject(signal!.reason));
        const refusal = answer(each);
        if (refusal !== undefined) {
          reject(refusal);
        }
      });
    };
    return { serverStream } as unknown as Caller;
  });
  t.after(() => store.leave());
  return { store, asked, frame: () => frames.splice(0).forEach((show) => show()) };
}

test("one that is replaced is looked into again, also where nothing that is shown changes", async (t) => {
  const { store, asked, frame } = storeOf(t, [id(1), id(2)]);
  store.want([id(1), id(2)]);
  store.heard(leave(id(1)));
  store.heard(join(id(1), 2n));
  frame();
  await settled();
  assert.deepEqual(asked, [id(1), id(2), id(1)]);
  // Another in the place of one: as many are there as were, and those on the screen are the same.
  store.heard(leave(id(2)));
  store.heard(join(id(3)));
  frame();
  await settled();
  assert.deepEqual(asked.slice(3), [id(3)]);
});

test("where the first let nobody look, the others are asked", async (t) => {
  const all = Array.from({ length: 100 }, (_, at) => id(at));
  const { store, asked } = storeOf(t, all, () => new CallError(Code.UNIMPLEMENTED, "nobody"));
  store.want([]);
  for (let round = 0; round < 100; round++) {
    await settled();
  }
  assert.deepEqual(asked, all);
});
