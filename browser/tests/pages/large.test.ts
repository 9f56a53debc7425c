// 100 MB from a page, made as they go: what it holds meanwhile does not grow, whatever is cut.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

const world = World.chromium();
const PIECES = 1000;
/** Bytes more than before: some times what may be on its way; it was 2 MB. */
const MOST = 8_000_000;

test("100 MB over three cuts: the hash is equal, and the page's memory stays", { skip, timeout: 300_000 }, async () => {
  const page = await world.tab("acme:page@1:default");
  await step(page, "say", { remote: ROOM, author: "page" });
  const debugged = await page.context().newCDPSession(page);
  const held = async () => {
    await debugged.send("HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize } = await debugged.send("Runtime.getHeapUsage");
    return usedSize + backingStorageSize;
  };
  const before = await held();
  const seen: number[] = [];
  await page.exposeFunction("look", async () => void seen.push(await held()));
  const looks = Array.from({ length: 9 }, (_, at) => (at + 1) * 100 + 50);
  const told = await step(page, "large", { remote: ROOM, pieces: PIECES, cuts: [200, 500, 800], looks });
  const hash = createHash("sha256");
  for (let at = 0; at < PIECES; at++) {
    hash.update(new Uint8Array(100_000).fill(at));
  }
  assert.deepEqual(told, { size: PIECES * 100_000, sha256: hash.digest("hex") });
  assert.equal(seen.length, looks.length);
  assert.ok(Math.max(...seen) - before < MOST, `held: ${before} before, ${seen.join()} meanwhile`);
  assert.ok((await held()) - before < 4_000_000, "it is held when all has gone");
  assert.ok((await step(page, "made")) >= 4); // the room dials, too
  await world.assertQuiet(page);
  await page.close();
});
