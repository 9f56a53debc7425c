// Makes the pictures of docs/console.md, and more to look at in build/pictures: `npm run pictures`.

import { copyFileSync, mkdirSync } from "node:fs";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 600_000;
const OUT = "build/pictures";
/** What of them is shown in docs/. */
const SHOWN = ["actor-light", "links-dark"];
const [ROOM, ANN, BOB] = ["demo:room@1:default", "demo:ann@1:default", "demo:bob@1:default"];

async function picture(page: Page, name: string, theme: "light" | "dark" = "light"): Promise<void> {
  await page.emulateMedia({ colorScheme: theme });
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${OUT}/${name}.png` });
  if (SHOWN.includes(name)) {
    copyFileSync(`${OUT}/${name}.png`, `../docs/pictures/console-${name}.png`);
  }
}

test("pictures", { skip, timeout }, async () => {
  mkdirSync(OUT, { recursive: true });
  mkdirSync("../docs/pictures", { recursive: true });
  const proxy = await world.roomBehindProxy(ROOM, { ACTR_ACTOR__METADATA: "zone=north" });
  const [ann, bob] = [await world.peer(ANN), await world.peer(BOB, { ACTR_WIRES__PREFER: "websocket" })];
  await world.room("demo:room@2:default", { ACTR_ACTOR__INSPECTION: "off" });
  const page = await world.open("/", { size: { width: 1180, height: 720 } });
  const work = async (count: number) => {
    await Promise.all([ann, bob].map((each) => each.ask("say", { actor: ROOM, text: "hello", count })));
    await ann.ask("say", { actor: BOB, count: 5 });
  };
  const show = (hash: string) => page.evaluate((hash) => (location.hash = hash), hash);
  await work(40);
  await page.locator('.row:has([title="demo:room@2:default"])', { hasText: "lets nobody look" }).waitFor();
  await picture(page, "actors-light");
  await picture(page, "actors-dark", "dark");

  await show(`#/actor/${encodeURIComponent(ROOM)}`);
  await page.locator("#panel-links table").nth(1).waitFor();
  await work(60);
  await picture(page, "actor-light");
  await picture(page, "actor-dark", "dark");
  await show(`#/actor/${encodeURIComponent("demo:room@2:default")}`);
  await picture(page, "shut-light");

  await show("#/links");
  await page.waitForTimeout(20_000);
  for (let cuts = 0; cuts < 2; cuts++) {
    proxy.cut();
    await page.locator("li", { hasText: `broke ${cuts + 1} time` }).first().waitFor();
    await work(5);
    await page.waitForTimeout(8000);
  }
  await picture(page, "links-light");
  await picture(page, "links-dark", "dark");
  await show(`#/link/${encodeURIComponent(BOB)}/${encodeURIComponent(ROOM)}`);
  await page.getByLabel("The last").selectOption("1");
  await picture(page, "link-light");
  await picture(page, "link-dark", "dark");
  await show("#/events");
  await picture(page, "events-light");

  await page.setViewportSize({ width: 390, height: 760 });
  for (const [name, hash] of [
    ["actors", "#/"],
    ["actor", `#/actor/${encodeURIComponent(ROOM)}`],
    ["links", "#/links"],
    ["link", `#/link/${encodeURIComponent(BOB)}/${encodeURIComponent(ROOM)}`],
    ["events", "#/events"],
  ] as const) {
    await show(hash);
    await picture(page, `narrow-${name}`);
  }
  await page.setViewportSize({ width: 1180, height: 720 });
  const crowd = await world.crowd({ type: "demo:sensor", count: 500, metadata: {} });
  await show("#/");
  await picture(page, "many-light");
  await crowd.stop();
});
