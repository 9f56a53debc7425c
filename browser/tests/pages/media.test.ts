// The camera of a page to a peer of Python, and a picture of Python to a page, beside calls.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "./kit/caller";
import { CAMERA, skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

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

// A page with a smaller id makes the offer.
for (const [codec, instance] of [["VP8", "3"], ["VP9", "4"]] as const) {
  test(`an offer that has video before data, in ${codec}, costs no call and no camera`, { skip, timeout }, async (t) => {
    const id = `acme:page@${instance}:default`;
    const page = await world.tab(id, "webrtc", { codec });
    const { number, ...rest } = await step(page, "kinds", ROOM);
    assert.ok(number > 0);
    assert.deepEqual(rest, { wasPresent: true, people: ["ann"], isWhole: true, moves: [0, 1, 2], code: 3 });
    // Of a codec that it has not the far side takes nothing; the section itself, the first, carries all others
    // (RFC 9143, 7.3.3), and so it is no section of port 0.
    const direction = codec === "VP8" ? "recvonly" : "inactive";
    assert.deepEqual(await step(page, "firstSection"), { kind: "video", codecs: [codec], direction });
    const caller = await Caller.start(world.signaling.url);
    t.after(() => caller.stop());
    await step(page, "say", { remote: caller.id, author: "page" }).catch(() => {}); // it serves nothing: the wire is there
    // A track would take the section of VP9, which is free, too.
    const track = await step(page, "camera", { isNewSection: codec === "VP9" });
    const seen = await caller.ask("frames", { track, count: 15 });
    assert.deepEqual([seen.sender, seen.codec, seen.first_key], [id, "VP8", true]);
    await world.assertQuiet(page);
    await page.close();
  });
}
