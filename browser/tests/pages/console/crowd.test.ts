// Many actors: what the page has of them is bounded, and all of them are found.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 240_000;
const MANY = 500;
/** Rows that a screen of 800 pixels shows, and those beyond its edges, with room to spare. */
const MOST_ROWS = 40;

test("five hundred actors that change at once cost a screenful of work", { skip, timeout }, async () => {
  const crowd = await world.crowd({ type: "demo:crowd", count: MANY, metadata: {} });
  const page = await world.open("/", { size: { width: 1280, height: 800 } });
  await page.locator(".counts", { hasText: `${MANY} actors` }).waitFor();
  assert.ok((await page.locator(".row").count()) <= MOST_ROWS);

  await page.evaluate(() => {
    const seen = { added: 0, removed: 0, texts: 0, frames: 0, longest: 0 };
    new MutationObserver((records) => {
      seen.frames += 1;
      for (const { addedNodes, removedNodes, type } of records) {
        seen.added += addedNodes.length;
        seen.removed += removedNodes.length;
        seen.texts += type === "childList" ? 0 : 1;
      }
    }).observe(document.getElementById("main")!, { childList: true, subtree: true, characterData: true, attributes: true });
    new PerformanceObserver((list) => {
      list.getEntries().forEach(({ duration }) => (seen.longest = Math.max(seen.longest, duration)));
    }).observe({ type: "longtask" });
    Object.assign(window, { seen });
  });
  const seen = () => page.evaluate(() => (window as unknown as { seen: Record<string, number> }).seen);

  // Each of them tells another load, all at once; the busiest are on the screen.
  await page.getByLabel("Order").selectOption("load");
  await crowd.ask("load", { backlog: 7 });
  await page.locator(".row .c-load", { hasText: "7 wait" }).nth(10).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".row .c-load").length > 10);
  const after = await seen();
  console.log(`${MANY} actors changed at once: longest task ${after["longest"]!.toFixed(0)} ms, ${JSON.stringify(after)}`);
  assert.ok((await page.locator(".row").count()) <= MOST_ROWS);
  // Of 500 changes each frame redraws a screen at most.
  const perFrame = (after["added"]! + after["removed"]! + after["texts"]!) / Math.max(1, after["frames"]!);
  assert.ok(perFrame <= MOST_ROWS * 8, `${perFrame} changes of the document in a frame`);

  // The last one is there: by the keyboard, and by the filter.
  await page.getByLabel("Order").selectOption("id");
  await page.locator(".grid").focus();
  await page.keyboard.press("End");
  await page.locator('.row[aria-selected="true"]:has([title="demo:crowd@499:default"])').waitFor();
  assert.equal(await page.locator(".grid").getAttribute("aria-activedescendant"), "row-499");
  await page.getByPlaceholder("Filter by id").fill("crowd@77");
  await page.locator(".counts", { hasText: `1 of ${MANY} actors` }).waitFor();
  await page.getByPlaceholder("Filter by id").fill("");

  await crowd.stop();
  await page.locator(".empty", { hasText: "Nobody is online" }).waitFor();
  await page.locator("nav a", { hasText: "Events" }).click();
  await page.locator(".events li").nth(199).waitFor();
  assert.equal(await page.locator(".events li").count(), 200);
  await world.assertQuiet(page);
  await page.close();
});
