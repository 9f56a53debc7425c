// The console for everybody: by the keyboard alone, and by the rules of WCAG 2 AA as axe checks them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 240_000;
const [ROOM, SHUT, ANN] = ["demo:room@1:default", "demo:room@2:default", "demo:ann@1:default"];
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe has against the page as it stands. */
async function violations(page: Page): Promise<string[]> {
  const found = await page.evaluate(async (tags): Promise<readonly Violation[]> => {
    const { axe } = window as unknown as { axe: { run(options: object): Promise<{ violations: Violation[] }> } };
    return (await axe.run({ runOnly: { type: "tag", values: tags } })).violations;
  }, TAGS);
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
}

/** What the keyboard is at, in a word. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    return at?.getAttribute("aria-label") ?? at?.getAttribute("placeholder") ?? at?.textContent?.trim() ?? "";
  });

/** Tab until something has this name; fails where the keyboard never gets there. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    await page.keyboard.press("Tab");
    if ((await focused(page)).includes(name)) {
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
      assert.notEqual(outline, "none", `${name} does not show that it has the focus`);
      return;
    }
  }
  assert.fail(`the keyboard does not get to ${name}`);
}

test("every page is walked by the keyboard, and axe has nothing against any of them", { skip, timeout }, async (t) => {
  await world.room(ROOM);
  await world.room(SHUT, { ACTR_ACTOR__INSPECTION: "off" });
  const ann = await world.peer(ANN);
  await ann.ask("say", { actor: ROOM });
  const page = await world.open();
  await page.locator(`.row:has([title="${SHUT}"])`, { hasText: "lets nobody look" }).waitFor();
  await page.locator(`.row:has([title="${ROOM}"]) .mark-good`).waitFor();

  await t.test("by the keyboard", async () => {
    await tabTo(page, "To the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement!.id), "main");
    await tabTo(page, "Filter by id");
    await tabTo(page, "Actors of the realm");
    await page.keyboard.press("End");
    await page.locator(`.row[aria-selected="true"]:has([title="${SHUT}"])`).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.locator(`.row[aria-selected="true"]:has([title="${ROOM}"])`).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "demo:room@1" }).waitFor();
    await tabTo(page, ANN.slice(0, -8));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Its wires over time" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("region", { name: "Matrix of links" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Links" }).waitFor();
    await tabTo(page, "Events");
    await page.keyboard.press("Enter");
    await page.locator(".events li").first().waitFor();
    await tabTo(page, "Hold");
    await page.keyboard.press("Space");
    await page.getByRole("button", { name: "Go on" }).waitFor();
    await page.keyboard.press("Space");
  });

  // Puts axe into the page: the console's own policy lets nothing in, and stays as it is.
  await page.evaluate(readFileSync("node_modules/axe-core/axe.min.js", "utf8"));
  const links = `#/link/${encodeURIComponent(ROOM)}/${encodeURIComponent(ANN)}`;
  const pages = ["#/", `#/actor/${encodeURIComponent(ANN)}`, `#/actor/${encodeURIComponent(SHUT)}`, "#/links", links, "#/events"];
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    for (const hash of pages) {
      await t.test(`axe: ${hash} ${theme}`, async () => {
        await page.evaluate((hash) => (location.hash = hash), hash);
        await page.locator("h1").waitFor();
        await page.waitForTimeout(100); // a frame, and what its data bring
        assert.deepEqual(await violations(page), []);
      });
    }
  }
  await world.assertQuiet(page);
  await page.close();
});

test("the theme is chosen by the button, and what is asked at the door passes axe", { skip, timeout }, async () => {
  const page = await world.open();
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: "Theme" }).waitFor();
  const dark = await ground();
  await page.getByRole("button", { name: "Theme: auto" }).click();
  const light = await ground();
  assert.notEqual(light, dark);
  await page.getByRole("button", { name: "Theme: light" }).click();
  assert.equal(await ground(), dark);

  await page.route("**/console.json", (route) =>
    route.fulfill({ json: { version: "0", proof: "certificate", issuer: "/issuer" } }),
  );
  await page.reload();
  await page.getByRole("heading", { name: "Who looks?" }).waitFor();
  await page.evaluate(readFileSync("node_modules/axe-core/axe.min.js", "utf8"));
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    assert.deepEqual(await violations(page), []);
  }
  await world.assertQuiet(page);
  await page.close();
});
