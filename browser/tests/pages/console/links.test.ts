// Links in the console: a wire that is cut is seen at once, and so is the one that stands for it.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 120_000;
const [ROOM, ANN] = ["demo:room@1:default", "demo:ann@1:default"];
const WITHIN_MS = 1000;

/** When the page first shows an event of this kind that it did not show when this was asked, by its clock. */
async function nextEvent(page: Page, kind: string): Promise<() => Promise<{ at: number; text: string }>> {
  const handle = await page.evaluateHandle((kind) => {
    const all = () => [...document.querySelectorAll(`.events li[data-kind="${kind}"]`)];
    const known = all().length;
    let seen: { at: number; text: string } | undefined;
    const watcher = new MutationObserver(() => {
      if (seen === undefined && all().length > known) {
        seen = { at: Date.now(), text: all()[0]!.textContent ?? "" };
      }
    });
    watcher.observe(document.body, { childList: true, subtree: true });
    return () => seen;
  }, kind);
  return async () => {
    const seen = await page.waitForFunction((look: () => unknown) => look(), handle);
    return (await seen.jsonValue()) as { at: number; text: string };
  };
}

test("a wire that is cut is shown within a second, and so is its repair", { skip, timeout }, async () => {
  const proxy = await world.roomBehindProxy(ROOM);
  const ann = await world.peer(ANN, { ACTR_WIRES__PREFER: "websocket" });
  await ann.ask("say", { actor: ROOM });
  const page = await world.open("/#/events");
  await page.locator('.events li[data-kind="up"]').first().waitFor();

  const [down, up] = [await nextEvent(page, "down"), await nextEvent(page, "up")];
  const cutAt = Date.now();
  proxy.cut();
  const [died, back] = [await down(), await up()];
  assert.equal(proxy.cuts, 1);
  assert.ok(died.at - cutAt <= WITHIN_MS, `seen ${died.at - cutAt} ms after the cut`);
  assert.match(died.text, /websocket went down/);
  assert.match(back.text, /websocket is up/);
  console.log(`the cut was seen after ${died.at - cutAt} ms, its repair after ${back.at - cutAt} ms`);
  assert.equal(await page.locator('.events li[data-kind="down"]').count(), 1); // though both ends tell of it

  // What is left of it: a mark in the matrix, and the life of the wire.
  await page.locator("nav a", { hasText: "Links" }).click();
  const cell = page.locator(".matrix .cell-up", { hasText: "WS" }).first();
  await cell.locator(".cuts", { hasText: "1" }).waitFor();
  await cell.click();
  await page.locator("#changes + .events li", { hasText: "broke; it had been up for" }).waitFor();
  await page.locator("#changes + .events li", { hasText: "is up, " }).first().waitFor();
  await page.locator('.tall .strip[aria-label*="broke 1 time"]').waitFor();
  assert.ok((await page.locator(".tall .span-ready").count()) >= 2);
  await world.assertQuiet(page);
  await page.close();
});

test("a wire whose process is killed is shown by the one that is left", { skip, timeout }, async () => {
  const [one, two] = ["demo:bob@1:default", "demo:bob@2:default"];
  const [bob] = [await world.peer(one), await world.room(two)];
  await bob.ask("say", { actor: two });
  const page = await world.open("/#/events");
  await page.getByPlaceholder("Filter by id or text").fill("bob");
  await page.locator('.events li[data-kind="up"]').first().waitFor();
  await bob.kill();
  await page.locator('.events li[data-kind="down"]').first().waitFor();
  const left = page.locator('.events li[data-kind="leave"]', { hasText: "bob" });
  assert.match((await left.textContent())!, /was lost: no sign of life/);
  await world.assertQuiet(page);
  await page.close();
});
