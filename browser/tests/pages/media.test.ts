// The camera of a page to a peer of Python, and a picture of Python to a page, beside calls.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "./kit/caller";
import { CAMERA, skip } from "./kit/chromium";
import { step, World } from "./kit/world";

const world = World.chromium({ flags: CAMERA });
const timeout = 120_000;

for (const id of ["acme:page@1:default", "zebra:page@1:default"]) {
  test(`a camera and a picture pass each other on a wire that has calls: ${id}`, { skip, timeout }, async (t) => {
    const caller = await Caller.start(world.signaling.url);
    t.after(() => caller.stop());
    const page = await world.tab(id);
    assert.equal((await caller.ask("say", { actor: id })).number, 1);

    const track = await step(page, "camera");
    const seen = await caller.ask("frames", { track, count: 15 });
    assert.deepEqual([seen.sender, seen.codec, seen.first_key], [id, "VP8", true]);

    const [watched] = await Promise.all([
      step(page, "watch", 1),
      caller.ask("publish", { actor: id, frames: 60 }),
    ]);
    assert.deepEqual(watched.ids, ["py"]);
    assert.ok(watched.width > 0 && watched.height > 0);

    await caller.ask("frames", { track, count: seen.frames + 15 });
    assert.equal((await caller.ask("say", { actor: id })).number, 2);
    assert.equal(await step(page, "made"), 1, "media are on the wire that was there");
    await world.assertQuiet(page);
    await page.close();
  });
}
