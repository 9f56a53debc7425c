// The form that is made of an actor's descriptors: all four kinds of method, by the mouse and by keys alone.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Locator, Page } from "playwright-core";

import { chosen, openActor, wideIn } from "./kit/wide";
import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 240_000;

const button = (panel: Locator, name: string) => panel.getByRole("button", { name, exact: true });
const state = (panel: Locator, text: string) => panel.locator(".state", { hasText: text }).waitFor();
const reply = (panel: Locator, json: object) => panel.locator("pre", { hasText: JSON.stringify(json) }).first().waitFor();

async function shot(page: Page, name: string): Promise<void> {
  if (process.env["SHOTS"]) {
    await page.locator("#panel-call").screenshot({ path: `${process.env["SHOTS"]}/${name}.png` });
  }
}

async function opened(): Promise<Page> {
  await (actor ??= wideIn(world));
  return openActor(world, undefined, { width: 1200, height: 1000 });
}

let actor: ReturnType<typeof wideIn> | undefined;

test("a call is written in a form of its fields, and as JSON, which shows the same", { skip, timeout }, async () => {
  const page = await opened();
  const panel = await chosen(page, "Echo");
  await panel.getByLabel("text string").fill("<img src=x onerror=alert(1)>");
  await panel.getByLabel("small int32").fill("seven");
  await panel.getByLabel("large uint64").fill("18446744073709551615");
  await button(panel, "Call").click();
  await panel.getByText("a whole number from -2147483648 to 2147483647").waitFor();
  const small = panel.getByLabel("small int32");
  assert.equal(await small.getAttribute("aria-invalid"), "true");
  assert.equal(await small.evaluate((element) => element === document.activeElement), true, "what is wrong has the focus");
  assert.equal(await panel.locator(".state").count(), 0, "nothing was sent");
  await shot(page, "wrong");

  await small.fill("7");
  await panel.getByLabel("flag bool").check();
  await panel.getByLabel("colour Colour").selectOption("GREEN");
  await panel.getByLabel("A file for data").setInputFiles({ name: "f.bin", mimeType: "", buffer: Buffer.from([0, 1, 2]) });
  await panel.getByText("f.bin, 3 B").waitFor();
  await panel.getByRole("checkbox", { name: "set inner" }).check();
  await panel.getByLabel("word string").fill("inside");
  await button(panel, "Add to numbers").click();
  await panel.getByLabel("numbers 1 uint32").fill("5");
  await button(panel, "Add to counts").click();
  await panel.getByLabel("counts 1 key string").fill("__proto__");
  await panel.getByLabel("counts 1 value int64").fill("-1");
  await panel.getByLabel("choice one of 3").selectOption("id");
  await panel.getByLabel("id uint64").fill("9");
  await panel.getByRole("checkbox", { name: "set at", exact: true }).check();
  await panel.getByLabel("at Timestamp").fill("2026-01-31T12:00:00Z");
  await shot(page, "form");

  await panel.getByText("JSON", { exact: true }).click();
  const json = panel.getByLabel("The request as JSON");
  const written = {
    text: "<img src=x onerror=alert(1)>", small: 7, large: "18446744073709551615", flag: true, data: "AAEC", colour: "GREEN",
    inner: { word: "inside" }, numbers: [5], counts: JSON.parse('{"__proto__": "-1"}'), id: "9", at: "2026-01-31T12:00:00Z",
  };
  assert.deepEqual(JSON.parse(await json.inputValue()), written);
  await button(panel, "Call").click();
  await state(panel, "done");
  assert.deepEqual(JSON.parse((await panel.locator(".replies pre").textContent())!), written);
  assert.equal(await panel.locator("img").count(), 0);

  await json.fill('{"no": 1}');
  await button(panel, "Call").click();
  await panel.getByText('key "no" is unknown').waitFor();
  await panel.getByText("Form", { exact: true }).click();
  await panel.getByText("The form cannot show this").waitFor();
  await json.fill('{"text": "back"}');
  await panel.getByText("Form", { exact: true }).click();
  assert.equal(await panel.getByLabel("text string").inputValue(), "back");
  await world.assertQuiet(page);
  await page.close();
});

test("streams: replies as they come, items as they are sent, ends and cancellation", { skip, timeout }, async () => {
  const page = await opened();
  let panel = await chosen(page, "Count");
  await panel.getByLabel("times uint32").fill("100000");
  await panel.getByLabel("interval_ms uint32").fill("5");
  await button(panel, "Call").click();
  await panel.getByText("and are not kept").waitFor();
  assert.equal(await panel.locator(".replies li").count(), 100);
  await shot(page, "stream");
  await button(panel, "Cancel").click();
  await state(panel, "cancelled");

  panel = await chosen(page, "Sum");
  await panel.getByLabel("number int64").fill("40");
  await button(panel, "Open and send").click();
  await state(panel, "1 sent");
  await panel.getByLabel("number int64").fill("2");
  await button(panel, "Send item").click();
  await state(panel, "2 sent");
  await button(panel, "End").click();
  await state(panel, "done");
  await reply(panel, { number: "42" });

  panel = await chosen(page, "Twice");
  await button(panel, "Open").click();
  for (const number of [3, 4]) {
    await panel.getByLabel("number int64").fill(String(number));
    await button(panel, "Send item").click();
    await reply(panel, { number: String(2 * number) });
  }
  await shot(page, "bidi");
  await button(panel, "Cancel").click();
  await state(panel, "cancelled");
  await world.assertQuiet(page);
  await page.close();
});

test("an error is told with its code, its text and its details; a deadline ends a call", { skip, timeout }, async () => {
  const page = await opened();
  const panel = await chosen(page, "Fail");
  await panel.getByLabel("code uint32").fill("9");
  await panel.getByLabel("text string").fill("<b>not now</b>");
  await button(panel, "Call").click();
  const told = panel.getByRole("alert");
  await told.getByText("FAILED_PRECONDITION").waitFor();
  await told.getByText("<b>not now</b>", { exact: true }).waitFor();
  await told.getByText("wide.FailRequest").waitFor();
  assert.equal(await told.locator("b").count(), 0);
  await shot(page, "error");

  await chosen(page, "Hold");
  await panel.getByText("Deadline and metadata").click();
  await panel.getByLabel("Deadline seconds").fill("-1");
  await button(panel, "Call").click();
  await panel.getByText("more than 0").waitFor();
  await panel.getByLabel("Deadline seconds").fill("0.2");
  await button(panel, "Call").click();
  await panel.locator(".trouble", { hasText: /DEADLINE_EXCEEDED|DeadlineError/ }).waitFor();
  await world.assertQuiet(page);
  await page.close();
});

test("by keys alone: a method is chosen, its request written, sent, and cancelled", { skip, timeout }, async () => {
  const page = await opened();
  const panel = page.locator("#panel-call");
  await button(panel, "Ask what it offers").focus();
  await page.keyboard.press("Enter");
  const method = panel.getByLabel("Method", { exact: true });
  await method.waitFor();
  await method.focus();
  await page.keyboard.type("Count"); // as in every list of choices
  await page.keyboard.press("Tab"); // how it is written
  await page.keyboard.press("Tab"); // its first field
  await page.keyboard.type("100000");
  await page.keyboard.press("Tab");
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await state(panel, "running");
  await panel.locator(".replies li").first().waitFor();
  for (let tries = 0; tries < 6 && (await focused(page)) !== "Cancel"; tries++) {
    await page.keyboard.press("Tab");
  }
  assert.equal(await focused(page), "Cancel");
  await page.keyboard.press("Enter");
  await state(panel, "cancelled");
  await world.assertQuiet(page);
  await page.close();
});

const focused = (page: Page) => page.evaluate(() => document.activeElement?.textContent?.trim());
