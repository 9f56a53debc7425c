// What an actor tells of its methods is text, whatever it looks like; and what is no contract is told in words.
// The panels that are made of it pass axe, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { chosen, openActor, wideIn } from "./kit/wide";
import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 240_000;
const SCRIPT = `<img src=x onerror="document.title='owned'">`;
const HOSTILE = "hostile_actor:Hostile";

test("names of methods and fields are text, and a message that holds itself is as deep as it is opened", { skip, timeout }, async () => {
  const id = "acme:hostile@names:default";
  await wideIn(world, { HOSTILE: "names" }, id, HOSTILE);
  const page = await openActor(world, id, { width: 900, height: 900 });
  const panel = await chosen(page, SCRIPT);
  await panel.getByText(`${SCRIPT}.${SCRIPT}`, { exact: true }).waitFor();
  await panel.getByLabel("__proto__ string").fill(SCRIPT);
  await panel.getByRole("checkbox", { name: "set constructor" }).check();
  await panel.getByLabel("__proto__ string").nth(1).fill("inner");
  await panel.getByText("JSON", { exact: true }).click();
  const json = JSON.parse(await panel.getByLabel("The request as JSON").inputValue());
  assert.deepEqual(json, { [SCRIPT]: SCRIPT, constructor: { [SCRIPT]: "inner" } });
  await panel.getByText("Form", { exact: true }).click();
  assert.equal(await panel.getByLabel("__proto__ string").nth(1).inputValue(), "inner");
  await panel.getByRole("button", { name: "Call" }).click();
  await panel.getByRole("alert").getByText("UNIMPLEMENTED").waitFor();
  await panel.getByLabel("Method", { exact: true }).selectOption({ index: 2 });
  await panel.locator(".about", { hasText: "m".repeat(256) }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `a long name makes the page ${wide} pixels too wide`);
  assert.equal(await page.locator("main img").count(), 0);
  assert.notEqual(await page.title(), "owned");
  await world.assertQuiet(page);
  await page.close();
});

const WRONG = { file: /its descriptors are none/, bytes: /cannot be read/, size: /bytes of a contract: \d+ is over the limit/ };

for (const [what, words] of Object.entries(WRONG)) {
  test(`what is no contract is told in words, and the page goes on: ${what}`, { skip, timeout }, async () => {
    const id = `acme:hostile@${what}:default`;
    await wideIn(world, { HOSTILE: what }, id, HOSTILE);
    const page = await openActor(world, id);
    const panel = page.locator("#panel-call");
    await panel.getByRole("button", { name: "Ask what it offers" }).click();
    await panel.getByRole("alert").getByText(words).waitFor();
    await panel.getByRole("button", { name: "Ask again" }).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    await world.assertQuiet(page);
    await page.close();
  });
}

test("axe has nothing against a form with all in it, its results, and dead letters", { skip, timeout }, async () => {
  const id = "acme:wide@axe:default";
  await wideIn(world, { ACTR_ACTOR__INSPECTION: "operate" }, id);
  const page = await openActor(world, id, { width: 1200, height: 1000 });
  await page.evaluate(readFileSync("node_modules/axe-core/axe.min.js", "utf8"));
  const check = async (what: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const found = await page.evaluate(async () => {
        const { axe } = window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
        return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      });
      assert.deepEqual(found, [], `${what}, ${colorScheme}`);
    }
  };
  const panel = await chosen(page, "Bury");
  await panel.getByRole("button", { name: "Call" }).click();
  await page.locator("#panel-letters .letter-row").first().waitFor();
  await page.locator("#panel-letters .letter-row").first().getByRole("button", { name: "Look" }).click();
  await page.locator("#panel-letters .letter pre").or(page.locator("#panel-letters").getByText("Empty.")).first().waitFor();
  await check("an error and a letter");
  await chosen(page, "Echo");
  for (const name of ["set inner", "set at", "set anything"]) {
    await panel.getByRole("checkbox", { name, exact: true }).check();
  }
  for (const name of ["Add to numbers", "Add to inners", "Add to counts"]) {
    await panel.getByRole("button", { name, exact: true }).click();
  }
  await panel.getByLabel("choice one of 3").selectOption("whole");
  await panel.getByText("Deadline and metadata").click();
  await panel.getByRole("button", { name: "Call" }).click();
  await panel.getByText("something, or leave it out").first().waitFor();
  if (process.env["SHOTS"]) {
    await page.locator("#app").evaluate((element) => (element.style.height = "auto"));
    await page.screenshot({ path: `${process.env["SHOTS"]}/page.png`, fullPage: true });
  }
  await check("a form with faults");
  await panel.getByText("JSON", { exact: true }).click();
  await check("a request as JSON");
  await page.close();
});
