// Who is looked into: a bounded number, those that are wanted most first.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";

import { ActorViewSchema } from "../../console/gen/actr/services/inspection_pb";
import type { Looking } from "../../console/model/realm";
import { MAX_VIEW_BYTES, MAX_VIEW_MESSAGES } from "../../console/session/pace";
import { MAX_ASKING, MAX_WATCHES, Watches } from "../../console/session/watches";
import { CallError, Code } from "../../src/errors";
import type { CallOptions, Caller } from "../../src/service";

const ids = (count: number, name = "x") => Array.from({ length: count }, (_, at) => `acme:${name}@${at}:default`);
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Actors that answer when the test says so. */
class Actors {
  readonly asked = new Map<string, { answer: () => void; refuse: (error: Error) => void; signal: AbortSignal }>();
  readonly states = new Map<string, Looking>();
  readonly views: string[] = [];
  /** Why nobody is looked into, as it was told last. */
  why = "";
  /** What an actor tells. */
  tells: (id: string) => Uint8Array = (id) => toBinary(ActorViewSchema, create(ActorViewSchema, { id }));
  readonly left = new Set<string>();
  readonly watches = new Watches((id) => this.#caller(id), {
    isThere: (id) => !this.left.has(id),
    view: (id) => void this.views.push(id),
    looking: (id, state, why) => {
      this.states.set(id, state);
      this.why = why;
    },
  });

  #caller(id: string): Caller {
    const { asked, tells } = this;
    const serverStream = async function* (_method: unknown, _request: unknown, { signal }: CallOptions) {
      await new Promise<void>((resolve, reject) => {
        asked.set(id, { answer: resolve, refuse: reject, signal: signal! });
        signal!.addEventListener("abort", () => reject(signal!.reason));
      });
      yield tells(id);
      await new Promise<void>((_, reject) => {
        asked.get(id)!.refuse = reject;
        signal!.addEventListener("abort", () => reject(signal!.reason));
      });
    };
    return { serverStream } as unknown as Caller;
  }

  in(state: Looking): string[] {
    return [...this.states].filter(([, each]) => each === state).map(([id]) => id);
  }

  async answerAll(): Promise<void> {
    for (const id of this.in("asking")) {
      this.asked.get(id)!.answer();
    }
    await settled();
  }
}

let actors: Actors;
beforeEach(() => {
  actors = new Actors();
});
afterEach(() => actors.watches.close());

test("so many are asked at once, and so many looked into", async () => {
  actors.watches.want(ids(100));
  assert.deepEqual(actors.in("asking"), ids(MAX_ASKING));
  for (let rounds = 0; rounds < 2 * (MAX_WATCHES / MAX_ASKING); rounds++) {
    await actors.answerAll();
    actors.watches.want(ids(100)); // as the page says with each frame
  }
  assert.deepEqual(actors.in("looking"), ids(MAX_WATCHES));
  assert.equal(actors.watches.running, MAX_WATCHES);
});

test("who is wanted more takes the place of one that nobody wants", async () => {
  for (let rounds = 0; rounds < 8; rounds++) {
    actors.watches.want([], ids(100));
    await actors.answerAll();
  }
  actors.watches.want(ids(2, "new"), ids(100));
  await actors.answerAll();
  assert.equal(actors.watches.running, MAX_WATCHES);
  assert.equal(actors.states.get("acme:new@1:default"), "looking");
  assert.equal(actors.in("none").length, 2);
  for (const id of actors.in("none")) {
    assert.ok(actors.asked.get(id)!.signal.aborted);
  }
});

test("who is not wanted goes on while there is room", async () => {
  actors.watches.want(ids(3));
  await actors.answerAll();
  actors.watches.want(ids(3, "other"));
  await actors.answerAll();
  assert.equal(actors.in("looking").length, 6);
});

test("who has refused puts out nobody, and off the screen is asked again rarely", async (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now * 1000);
  const [shut, open] = [ids(40, "shut"), ids(40, "open")];
  const answer = async (first: readonly string[] = []) => {
    actors.asked.clear();
    const asked = new Set<string>();
    for (let rounds = 0; rounds < 20; rounds++) {
      actors.watches.want(first, [...shut, ...open]);
      for (const id of actors.in("asking")) {
        asked.add(id);
        const { answer, refuse } = actors.asked.get(id)!;
        shut.includes(id) ? refuse(new CallError(Code.UNIMPLEMENTED, "nobody")) : answer();
      }
      await settled();
    }
    return [...asked];
  };
  assert.equal((await answer()).length, 40 + MAX_WATCHES);
  assert.deepEqual(actors.in("looking"), open.slice(0, MAX_WATCHES));
  now = 300;
  assert.deepEqual(await answer(), []);
  assert.deepEqual(await answer(shut), [], "nor where they are on the screen");
  assert.deepEqual(actors.in("looking"), open.slice(0, MAX_WATCHES));
  const leave = (id: string) => {
    actors.left.add(id);
    actors.watches.forget(id);
    actors.states.delete(id);
  };
  leave(open[0]!);
  assert.deepEqual(await answer(shut), [open[32]], "room is for who was never asked");
  assert.deepEqual(await answer(open.slice(39)), open.slice(39));
  assert.equal(actors.in("looking").length, MAX_WATCHES);
  open.forEach(leave);
  assert.deepEqual(await answer(shut.slice(0, 2)), shut.slice(0, 2), "with room, those on the screen");
  assert.deepEqual(await answer(), []);
  now = 661;
  assert.deepEqual(await answer(), shut.slice(2));
});

test("a refusal says why, and is asked again by a person or another process alone", async () => {
  const [one, two, three, four] = ids(4) as [string, string, string, string];
  actors.watches.want([one, two, three, four]);
  actors.asked.get(one)!.refuse(new CallError(Code.UNIMPLEMENTED, "nobody"));
  actors.asked.get(two)!.refuse(new CallError(Code.PERMISSION_DENIED, "not you"));
  actors.asked.get(three)!.refuse(new CallError(Code.RESOURCE_EXHAUSTED, "16 look"));
  actors.asked.get(four)!.refuse(new Error("no wire"));
  await settled();
  assert.deepEqual([one, two, three, four].map((id) => actors.states.get(id)), ["shut", "refused", "busy", "away"]);
  actors.watches.want([one, two, three, four]);
  assert.equal(actors.in("asking").length, 0);
  actors.watches.again(one);
  assert.deepEqual(actors.in("asking"), [one]);
});

test("who has left is forgotten, and asked no more", async () => {
  const [one, two] = ids(2) as [string, string];
  actors.watches.want([one, two]);
  actors.asked.get(two)!.refuse(new CallError(Code.UNIMPLEMENTED, "nobody"));
  await actors.answerAll();
  actors.left.add(one);
  actors.watches.forget(one);
  assert.ok(actors.asked.get(one)!.signal.aborted);
  await settled();
  actors.watches.again(two); // looks for who else is to be asked
  assert.deepEqual(actors.in("asking"), [two]);
  assert.equal(actors.states.get(one), "looking"); // nothing is said of it afterwards
  actors.left.delete(one);
  actors.watches.again(one); // back, and wanted still
  assert.deepEqual(actors.in("asking"), [one, two]);
});

/** So many links, of two bytes each. */
const links = (count: number) => Uint8Array.from({ length: 2 * count }, (_, at) => (at % 2 === 0 ? 0x4a : 0));
const MORE: Record<string, [told: Uint8Array, why: RegExp]> = {
  "messages": [links(MAX_VIEW_MESSAGES), /messages of a view/],
  "bytes": [new Uint8Array(MAX_VIEW_BYTES + 1), /bytes of a view/],
  "bytes that are no view": [Uint8Array.of(0x4a, 9), /no actr\.ActorView/],
};

for (const [what, [told, why]] of Object.entries(MORE)) {
  test(`a view that no honest actor tells is not taken, and ends the look: ${what}`, async () => {
    actors.tells = () => told;
    actors.watches.want(ids(1));
    await actors.answerAll();
    assert.deepEqual([actors.in("away"), actors.views], [ids(1), []]);
    assert.match(actors.why, why);
  });
}

test("one of as many links as there may be is taken", async () => {
  actors.tells = () => links(MAX_VIEW_MESSAGES - 1);
  actors.watches.want(ids(1));
  await actors.answerAll();
  assert.deepEqual([actors.in("looking"), actors.views], [ids(1), ids(1)]);
});
