// How long a page waits for its first reply, and what a call costs it beside one of Python.

import { test } from "node:test";

import { Caller } from "./kit/caller";
import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

const world = World.chromium();
const ROUNDS = 5;
const CALLS = 200;

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

test("times, in milliseconds", { skip, timeout: 300_000 }, async (t) => {
  const firsts: number[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const page = await world.browser.open(world.site.origin);
    const given = { signaling: world.signaling.url, id: `acme:page@${round}:default`, kind: "webrtc" } as const;
    const { first, rest } = await step(page, "time", { ...given, remote: ROOM, calls: CALLS });
    firsts.push(first);
    ours.push(...rest);
    await step(page, "close");
    await page.close();
    const caller = await Caller.start(world.signaling.url, { ACTR_WIRES__PREFER: "webrtc" });
    theirs.push(...(await caller.ask("time", { actor: ROOM, calls: CALLS })).rest);
    await caller.stop();
  }
  const [page, python] = [median(ours), median(theirs)];
  t.diagnostic(`first reply after signaling's first word: median ${median(firsts).toFixed(0)}, longest ${Math.max(...firsts).toFixed(0)}; wanted: 150`);
  t.diagnostic(`a call: page ${page.toFixed(2)}, Python ${python.toFixed(2)}, ${(page / python).toFixed(2)} times; wanted: 2`);
});
