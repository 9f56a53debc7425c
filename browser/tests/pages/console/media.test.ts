// Streams and tracks in the console, by name; and a picture that an actor sends to it, playing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chosen, openActor, wideIn } from "./kit/wide";
import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 180_000;

test("an open stream is listed by its method, a track by its name, and its picture plays", { skip, timeout }, async () => {
  await wideIn(world);
  const page = await openActor(world);
  const panel = page.locator("#panel-media");
  await panel.getByText("No stream is open, and no track is carried.").waitFor();

  const form = await chosen(page, "Show");
  await form.getByLabel("times uint32").fill("900");
  await form.getByRole("button", { name: "Call" }).click();
  const track = panel.getByRole("region", { name: "Media tracks" }).locator("tbody tr");
  await track.getByText("VP8").waitFor();
  assert.match((await track.textContent())!, /^patternvideoVP8outactr:console@/);
  await track.filter({ hasText: /\d\d\.?\d? ?KB\/s/ }).or(track.filter({ hasText: /[1-9].*\/s/ })).first().waitFor();
  const video = panel.getByLabel("Track pattern");
  await video.evaluate(async (element: HTMLVideoElement) => {
    const started = element.currentTime;
    while (element.currentTime < started + 1) {
      await new Promise((resolve) => element.requestVideoFrameCallback(resolve));
    }
  });
  if (process.env["SHOTS"]) {
    await page.setViewportSize({ width: 1200, height: 1000 });
    await panel.screenshot({ path: `${process.env["SHOTS"]}/media.png` });
  }

  await chosen(page, "Count");
  await form.getByLabel("times uint32").fill("100000");
  await form.getByLabel("interval_ms uint32").fill("20");
  await form.getByRole("button", { name: "Call" }).click();
  const stream = panel.getByRole("region", { name: "Streams" }).locator("tbody tr");
  await stream.getByText("wide.Wide.Count").waitFor();
  await stream.locator(".live", { hasText: /[1-9]/ }).waitFor();
  await form.getByRole("button", { name: "Cancel" }).click();
  await stream.waitFor({ state: "detached" });
  await world.assertQuiet(page);
  await page.close();
});
