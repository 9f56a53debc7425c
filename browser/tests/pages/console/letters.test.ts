// Dead letters in the console: a real one is looked into, replayed and dropped; who may not is told why.

import assert from "node:assert/strict";
import { test } from "node:test";

import { join, WireKind } from "actr";
import type { Page } from "playwright-core";
import { WebSocket } from "ws";

import type { SocketClass } from "../../../src/wire/socket";
import { WideClient } from "../../gen/wide_actr";
import { chosen, openActor, wideIn } from "./kit/wide";
import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 180_000;
const OPERATE = { ACTR_ACTOR__INSPECTION: "operate" };

/** Has a method called by the form, so often. */
async function call(page: Page, method: string, texts: Record<string, string> = {}, ends = "done"): Promise<void> {
  const panel = await chosen(page, method);
  for (const [name, text] of Object.entries(texts)) {
    await panel.getByLabel(name).fill(text);
  }
  await panel.getByRole("button", { name: "Call" }).click();
  await panel.locator(".state", { hasText: ends }).waitFor();
}

/** Has an actor of its own send what the far side gives up, so often. */
async function bury(signaling: string, to: string, id: string, count: number): Promise<void> {
  const socket = WebSocket as unknown as SocketClass;
  const me = await join(signaling, id, { socket, kinds: [WireKind.WEBSOCKET] });
  const wide = new WideClient(me.to(to));
  for (let number = 1; number <= count; number++) {
    await assert.rejects(wide.bury({ text: `letter ${number} of ${id}` }, { timeout: 60 }));
  }
  await me.close();
}

const letter = (page: Page, text: string) => page.locator("#panel-letters .letter-row", { hasText: text });

test("a letter is looked into by the contract, replayed, and another is dropped", { skip, timeout }, async () => {
  await wideIn(world, OPERATE);
  const page = await openActor(world);
  const panel = page.locator("#panel-letters");
  await panel.getByText("None.").waitFor();
  for (const text of ["first", "<b>second</b>"]) {
    await call(page, "Bury", { "text string": text }, "failed");
  }
  await letter(page, "first").waitFor();
  await letter(page, "<b>second</b>").waitFor();

  await letter(page, "<b>second</b>").getByRole("button", { name: "Look" }).click();
  await panel.locator("pre", { hasText: '{"text":"<b>second</b>"}' }).waitFor();
  await panel.getByText("wide.FailRequest").waitFor();
  assert.equal(await panel.locator("b").count(), 0, "what somebody wrote is text");

  await call(page, "Mend");
  await letter(page, "first").getByRole("checkbox").check();
  await panel.getByRole("button", { name: "Replay 1" }).click();
  await panel.getByText("1 letter replayed").waitFor();
  await letter(page, "first").waitFor({ state: "detached" });
  await call(page, "Mend");
  await page.locator("#panel-call pre", { hasText: '{"number":"1"}' }).waitFor();

  const second = letter(page, "<b>second</b>");
  await second.getByRole("checkbox").check();
  await panel.getByRole("button", { name: "Drop 1" }).click();
  const question = page.getByRole("dialog");
  await question.getByText("Drop 1 letter?").waitFor();
  await page.keyboard.press("Escape");
  await question.waitFor({ state: "detached" });
  assert.equal(await second.count(), 1, "Escape keeps it");
  await panel.getByRole("button", { name: "Drop 1" }).click();
  await question.getByRole("button", { name: "Drop" }).click();
  await panel.getByText("1 letter dropped").waitFor();
  await second.waitFor({ state: "detached" });
  await world.assertQuiet(page);
  await page.close();
});

test("letters come by pages, and those that fit", { skip, timeout }, async () => {
  const id = "acme:wide@many:default";
  await wideIn(world, OPERATE, id);
  await bury(world.signaling.url, id, "acme:one@1:default", 119);
  await bury(world.signaling.url, id, "acme:other@1:default", 1);
  const page = await openActor(world, id);
  const panel = page.locator("#panel-letters");
  const rows = panel.locator(".letter-row");
  await rows.nth(49).waitFor();
  assert.equal(await rows.count(), 50);
  const older = panel.getByRole("button", { name: "Older" });
  const newer = panel.getByRole("button", { name: "Newer" });
  assert.ok(await older.isDisabled());
  await newer.click();
  await letter(page, "letter 60 of acme:one").waitFor();
  await newer.click();
  await letter(page, "letter 1 of acme:other").waitFor();
  assert.equal(await rows.count(), 20);
  assert.ok(await newer.isDisabled());
  await older.click();
  await letter(page, "letter 60 of acme:one").waitFor();
  await panel.getByLabel("Where to look").selectOption("sender");
  await panel.getByLabel("Part of it").fill("acme:other");
  await panel.getByRole("button", { name: "Find" }).click();
  await letter(page, "letter 1 of acme:other").waitFor();
  assert.equal(await rows.count(), 1);
  await world.assertQuiet(page);
  await page.close();
});

test("an actor that lets others look only says which setting would let them do more", { skip, timeout }, async () => {
  const id = "acme:wide@look:default";
  await wideIn(world, {}, id);
  const page = await openActor(world, id);
  await call(page, "Bury", { "text string": "kept" }, "failed");
  await letter(page, "kept").waitFor();
  const panel = page.locator("#panel-letters");
  await panel.getByText("ACTR_ACTOR__INSPECTION=operate").waitFor();
  for (const name of ["Replay", "Drop"]) {
    assert.equal(await panel.getByRole("button", { name }).count(), 0);
  }
  await world.assertQuiet(page);
  await page.close();
});
