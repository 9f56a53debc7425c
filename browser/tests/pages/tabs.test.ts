// Several tabs, a page that is loaded again, a page that nobody looks at, and addresses that stay secret.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "./kit/caller";
import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

const world = World.chromium();
const timeout = 120_000;
const [ONE, TWO] = ["acme:page@1:default", "acme:page@2:default"];

test("two tabs call a room and each other, and hide their addresses", { skip, timeout }, async () => {
  const [one, two] = [await world.tab(ONE), await world.tab(TWO)];
  assert.deepEqual(await step(one, "find", "acme:page"), [ONE, TWO]);
  const numbers = [await step(one, "say", { remote: ROOM, author: "1" }), await step(two, "say", { remote: ROOM, author: "2" })];
  assert.equal(numbers[1], numbers[0]! + 1);
  assert.equal(await step(one, "say", { remote: TWO, author: "1" }), 1);
  assert.equal(await step(two, "say", { remote: ONE, author: "2" }), 1);
  assert.deepEqual(await step(two, "heard"), [`${ONE} says`]);
  assert.deepEqual(await step(one, "heard"), [`${TWO} says`]);
  for (const page of [one, two]) {
    const hosts = await step(page, "hosts");
    assert.ok(hosts.length > 0 && hosts.every((host) => /^[0-9a-f-]{36}\.local$/.test(host)), hosts.join());
  }
  await world.assertQuiet(one, two);
  await one.close();
  await two.close();
});

test("a page that is loaded again takes its identity back, and is called anew", { skip, timeout }, async () => {
  const page = await world.tab(ONE);
  const caller = await Caller.start(world.signaling.url);
  try {
    const before = await step(page, "say", { remote: ROOM, author: "1" });
    assert.equal((await caller.ask("say", { actor: ONE })).number, 1);
    assert.equal((await caller.ask("say", { actor: ONE })).number, 2);
    await page.reload();
    await step(page, "start", { signaling: world.signaling.url, id: ONE, kind: "webrtc" });
    assert.equal(await step(page, "say", { remote: ROOM, author: "1" }), before + 1);
    assert.equal((await caller.ask("say", { actor: ONE })).number, 1, "that is not the page that was loaded now");
    assert.deepEqual(await step(page, "find", "acme:page"), [ONE]);
    await world.assertQuiet(page);
  } finally {
    await caller.stop();
    await page.close();
  }
});

test("another tab with the same identity replaces the first, which is told so", { skip, timeout }, async () => {
  const first = await world.tab(ONE);
  const second = await world.tab(ONE);
  await step(first, "until", "signaling replaced");
  assert.ok((await step(second, "say", { remote: ROOM, author: "2" })) > 0);
  await world.assertQuiet(first, second);
  await first.close();
  await second.close();
});

test("a page that nobody looks at keeps its wire and answers, with slow timers", { skip, timeout }, async () => {
  const page = await world.tab(ONE);
  const caller = await Caller.start(world.signaling.url);
  try {
    await step(page, "say", { remote: ROOM, author: "1" });
    await caller.ask("say", { actor: ONE });
    const made = await step(page, "made");
    await step(page, "hide");
    const slow = await step(page, "slowTimers", 5);
    assert.ok(slow >= 500, `timers are not throttled: ${slow} ms`);
    // For longer than a wire without heartbeats is let live.
    const until = Date.now() + 14_000;
    while (Date.now() < until) {
      await caller.ask("say", { actor: ONE });
      await step(page, "say", { remote: ROOM, author: "1", timeout: 10 });
      await step(page, "slowTimers", 1);
    }
    const { size, told, sent } = await step(page, "upload", { remote: ROOM, bytes: 2_000_000, pieces: 100, cuts: [], calls: 3 });
    assert.equal(size, 2_000_000);
    assert.equal(told, sent);
    assert.equal(await step(page, "made"), made, (await step(page, "states")).join());
    await world.assertQuiet(page);
  } finally {
    await caller.stop();
    await page.close();
  }
});
