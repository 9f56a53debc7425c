// The list of actors, and one actor: who is there, who leaves, who lets nobody look.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 120_000;
const ROOM = "demo:room@1:default";
const SHUT = "demo:room@2:default";
const ANN = "demo:ann@1:default";

test("who is online is listed, and what lets itself be looked at is looked into", { skip, timeout }, async () => {
  await world.room(ROOM);
  await world.room(SHUT, { ACTR_ACTOR__INSPECTION: "off" });
  const ann = await world.peer(ANN);
  await ann.ask("say", { actor: ROOM });

  const page = await world.open();
  const row = (id: string) => page.locator(`.row:has([title="${id}"])`);
  await row(ROOM).locator(".c-state", { hasText: "online" }).waitFor();
  await row(ROOM).locator(".c-links", { hasText: "1" }).waitFor();
  assert.match((await row(ROOM).locator(".c-version").textContent())!, /^\d+\.\d+\.\d+$/);
  assert.match((await row(ROOM).locator(".c-up").textContent())!, /^\d+ (s|min)$/);
  await row(SHUT).locator(".c-state", { hasText: "lets nobody look" }).waitFor();
  assert.equal(await row(SHUT).locator(".c-version").textContent(), "");

  await row(ANN).locator(".c-links", { hasText: "1" }).waitFor();
  await ann.stop();
  await row(ANN).waitFor({ state: "detached" });
  await world.assertQuiet(page);
  await page.close();
});
