// An upload of a page, with calls beside it, over a wire that is cut meanwhile: nothing is lost or doubled.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { skip } from "./kit/chromium";
import { Proxy } from "./kit/proxy";
import { ROOM, step, World } from "./kit/world";

const world = World.chromium({ room: (site) => ({ ACTR_WIRES__ALLOWED_ORIGINS: site.origin }) });
const timeout = 120_000;
const UPLOAD = { remote: ROOM, bytes: 8_000_000, pieces: 400, cuts: [100, 200, 300], calls: 60 };

/** The upload came whole, and each call ran once: what the room has counted says so. */
async function assertWhole(page: Page): Promise<void> {
  const before = await step(page, "say", { remote: ROOM, author: "page" });
  const { size, told, sent, numbers } = await step(page, "upload", UPLOAD);
  assert.equal(size, UPLOAD.bytes);
  assert.equal(told, sent);
  assert.deepEqual(numbers, Array.from({ length: UPLOAD.calls }, (_, at) => before + 1 + at));
  assert.equal(await step(page, "say", { remote: ROOM, author: "page" }), before + UPLOAD.calls + 1);
}

test("over WebRTC", { skip, timeout }, async () => {
  const page = await world.tab("acme:page@1:default");
  await assertWhole(page);
  // The room dials too: whose wire is first is used.
  assert.ok((await step(page, "made")) >= 1 + UPLOAD.cuts.length);
  await world.assertQuiet(page);
  await page.close();
});

test("over a WebSocket to a peer that allows the page's origin", { skip, timeout }, async (t) => {
  const proxy = await Proxy.start(world.room.ready["address"]);
  t.after(() => proxy.stop());
  const page = await world.tab("acme:page@2:default", "websocket", { address: proxy.address });
  await page.exposeFunction("cut", () => proxy.cut());
  await assertWhole(page);
  assert.equal(proxy.cuts, UPLOAD.cuts.length);
  const states = await step(page, "states");
  assert.ok(states.filter((state) => state === "websocket ready").length > UPLOAD.cuts.length, states.join());
  assert.ok(!states.includes("webrtc ready"), states.join());
  await world.assertQuiet(page);
  await page.close();
});

test("a page of another origin gets no WebSocket, and is told why that may be", { skip, timeout }, async () => {
  const { other } = world.site;
  const page = await world.tab("acme:page@3:default", "websocket", { at: other });
  const told = await step(page, "sayOrTell", { remote: ROOM, author: "page", timeout: 20 });
  assert.match(String(told), /^UnreachableError: .*demo:room@1/);
  assert.ok(String(told).includes(`pages of ${other} (wires.allowed_origins)`), String(told));
  assert.equal(await step(page, "made"), 0);
  // Of the same room, by WebRTC, it may ask.
  const rtc = await world.tab("acme:page@4:default", "webrtc", { at: other });
  assert.ok((await step(rtc, "say", { remote: ROOM, author: "page" })) > 0);
  // The browser logs each refused WebSocket, and nothing else.
  const said = world.browser.complaints.splice(0);
  world.browser.complaints.push(...said.filter((each) => !/WebSocket connection to 'ws:.*failed/.test(each)));
  assert.ok(world.browser.complaints.length < said.length);
  await world.assertQuiet(page, rtc);
});
