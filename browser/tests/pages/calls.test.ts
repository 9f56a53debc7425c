// A page calls actors of Python over WebRTC, and they call the page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "./kit/caller";
import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

const world = World.chromium();
const timeout = 120_000;

for (const id of ["acme:page@1:default", "zebra:page@1:default"]) {
  test(`a page finds a room and calls all kinds of methods: ${id}`, { skip, timeout }, async () => {
    const page = await world.tab(id);
    assert.deepEqual(await step(page, "find", "demo:room"), [ROOM]);
    const { number, ...rest } = await step(page, "kinds", ROOM);
    assert.ok(number > 0);
    assert.deepEqual(rest, { wasPresent: true, people: ["ann"], isWhole: true, moves: [0, 1, 2], code: 3 });
    assert.equal(await step(page, "made"), 1, "one wire does for all");
    // Also where the room takes a second to load what it needs, and knows no address of the page by then.
    assert.equal(await step(page, "dials"), 1, "the first dial failed");
    await world.assertQuiet(page);
    await step(page, "close");
    await page.close();
  });
}

test("a page of `join` and a generated client calls a room", { skip, timeout }, async () => {
  const page = await world.browser.open(world.site.origin);
  const given = { signaling: world.signaling.url, id: "acme:page@5:default", remote: ROOM };
  assert.deepEqual(await step(page, "joined", given), { isNumbered: true, text: "hello", late: "ClosedError" });
  await world.assertQuiet(page);
  await page.close();
});

for (const id of ["acme:page@2:default", "zebra:page@2:default"]) {
  test(`a peer of Python calls what a page serves, all kinds of methods: ${id}`, { skip, timeout }, async () => {
    const page = await world.tab(id);
    const caller = await Caller.start(world.signaling.url);
    try {
      assert.deepEqual(await caller.ask("kinds", { actor: id }), {
        number: 1,
        wasPresent: true,
        people: ["ann"],
        moves: [0, 1, 2],
        isWhole: true,
        code: 3,
      });
      const heard = await step(page, "heard");
      assert.equal(heard[0], `${caller.id} says`);
      assert.equal(await step(page, "made"), 1);
      // And the other way over the same wire: it serves nothing.
      assert.match(String(await step(page, "sayOrTell", { remote: caller.id, author: "page" })), /^CallError: .*no method/);
      assert.equal(await step(page, "made"), 1);
      await world.assertQuiet(page);
    } finally {
      await caller.stop();
      await page.close();
    }
  });
}
