// A page behind a firewall that lets nothing through but TCP to a TURN server.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { skip as withoutChromium } from "./kit/chromium";
import { skip as withoutTurn, Turn } from "./kit/turn";
import { ROOM, step, World } from "./kit/world";

const skip = withoutChromium || withoutTurn;
const timeout = 120_000;
const folder = mkdtempSync(join(tmpdir(), "actr-turn-"));
let turn: Turn;

if (!skip) {
  before(async () => {
    turn = await Turn.start(folder);
  });
}
after(async () => {
  await turn?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const world = World.chromium({ isRun: !skip, signaling: () => turn.settings });

for (const id of ["acme:far@1:default", "zebra:far@1:default"]) {
  test(`a page that may only be relayed calls, and outlives a cut: ${id}`, { skip, timeout }, async () => {
    const page = await world.tab(id, "webrtc", { isRelayed: true });
    const { number, ...rest } = await step(page, "kinds", ROOM);
    assert.ok(number > 0);
    assert.deepEqual(rest, { wasPresent: true, people: ["ann"], isWhole: true, moves: [0, 1, 2], code: 3 });
    assert.deepEqual(await step(page, "path"), { type: "relay", protocol: "tcp" });
    const given = { remote: ROOM, bytes: 1_000_000, pieces: 20, cuts: [10], calls: 10 };
    const { told, sent, numbers } = await step(page, "upload", given);
    assert.equal(told, sent);
    assert.equal(new Set(numbers).size, 10, "a call ran twice, or was lost");
    assert.deepEqual(await step(page, "path"), { type: "relay", protocol: "tcp" });
    await world.assertQuiet(page);
    await page.close();
  });
}
