// Debian's Firefox calls actors of Python, serves them, and loses nothing over wires that are cut.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "./kit/caller";
import { skip } from "./kit/firefox";
import { ROOM, step, World } from "./kit/world";

const world = World.firefox();
const timeout = 180_000;
const KINDS = { wasPresent: true, people: ["ann"], isWhole: true, moves: [0, 1, 2], code: 3 };

for (const id of ["acme:fox@1:default", "zebra:fox@1:default"]) {
  test(`Firefox finds a room, and calls all kinds of methods both ways: ${id}`, { skip, timeout }, async () => {
    const page = await world.tab(id);
    assert.deepEqual(await step(page, "find", "demo:room"), [ROOM]);
    const { number, ...rest } = await step(page, "kinds", ROOM);
    assert.ok(number > 0);
    assert.deepEqual(rest, KINDS);
    assert.equal(await step(page, "made"), 1, "one wire does for all");
    const caller = await Caller.start(world.signaling.url);
    try {
      assert.deepEqual(await caller.ask("kinds", { actor: id }), { number: 1, ...KINDS });
      assert.equal((await step(page, "heard"))[0], `${caller.id} says`);
    } finally {
      await caller.stop();
    }
    await world.assertQuiet(page);
    await step(page, "close");
    await page.close();
  });
}

test("an upload of 2 MB with calls beside it outlives two cuts in Firefox", { skip, timeout }, async () => {
  const page = await world.tab("acme:fox@2:default");
  const bytes = 2_000_000;
  const told = await step(page, "upload", { remote: ROOM, bytes, pieces: 40, cuts: [10, 25], calls: 20 });
  assert.equal(told.size, bytes);
  assert.equal(told.told, told.sent);
  assert.equal(new Set(told.numbers).size, 20, "a call ran twice, or was lost");
  assert.equal(await step(page, "made"), 3);
  await world.assertQuiet(page);
  await page.close();
});

test("a tab behind another one, with its timers slowed, stays an actor", { skip, timeout }, async () => {
  const id = "acme:fox@4:default";
  const page = await world.tab(id);
  const caller = await Caller.start(world.signaling.url);
  const front = await world.browser.open(world.site.origin);
  try {
    await step(page, "say", { remote: ROOM, author: "1" });
    await caller.ask("say", { actor: id });
    const made = await step(page, "made");
    await front.show();
    await step(page, "slowTimers", 1);
    assert.equal(await step(page, "isHidden"), true);
    const slow = await step(page, "slowTimers", 5);
    assert.ok(slow >= 500, `timers are not throttled: ${slow} ms`);
    // For longer than a wire without heartbeats is let live.
    const until = Date.now() + 20_000;
    while (Date.now() < until) {
      await caller.ask("say", { actor: id });
      await step(page, "say", { remote: ROOM, author: "1", timeout: 10 });
      await step(page, "slowTimers", 1);
    }
    const { size, told, sent } = await step(page, "upload", { remote: ROOM, bytes: 2_000_000, pieces: 100, cuts: [], calls: 3 });
    assert.equal(size, 2_000_000);
    assert.equal(told, sent);
    assert.equal(await step(page, "made"), made, (await step(page, "states")).join());
    assert.equal(await step(page, "isHidden"), true);
    await page.show();
    await step(page, "say", { remote: ROOM, author: "1", timeout: 10 });
    await world.assertQuiet(page, front);
  } finally {
    await caller.stop();
    await front.close();
    await page.close();
  }
});

test("a page of `join` and a generated client calls a room from Firefox", { skip, timeout }, async () => {
  const page = await world.browser.open(world.site.origin);
  const given = { signaling: world.signaling.url, id: "acme:fox@3:default", remote: ROOM };
  assert.deepEqual(await step(page, "joined", given), { isNumbered: true, text: "hello", late: "ClosedError" });
  await world.assertQuiet(page);
  await page.close();
});
