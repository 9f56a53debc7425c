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

test("a page of `join` and a generated client calls a room from Firefox", { skip, timeout }, async () => {
  const page = await world.browser.open(world.site.origin);
  const given = { signaling: world.signaling.url, id: "acme:fox@3:default", remote: ROOM };
  assert.deepEqual(await step(page, "joined", given), { isNumbered: true, text: "hello", late: "ClosedError" });
  await world.assertQuiet(page);
  await page.close();
});
