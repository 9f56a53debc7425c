// What actors say of themselves is text, whatever it looks like, and however long it is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConsoleWorld, skip } from "./kit/world";

const world = new ConsoleWorld();
const timeout = 120_000;
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

test("what strangers say is shown as text", { skip, timeout }, async () => {
  const metadata = { name: HOSTILE.slice(0, 200), "<b>key</b>": "javascript:alert(1)", __proto__x: "'\"&lt;" };
  const crowd = await world.crowd({ type: "demo:stranger", count: 1, metadata });
  const page = await world.open("/#/actor/demo%3Astranger%400%3Adefault");
  const panel = page.locator("#panel-identity");
  await panel.getByText("<b>key</b> = javascript:alert(1)", { exact: true }).waitFor();
  assert.ok((await panel.textContent())!.includes(metadata.name));
  assert.equal(await page.locator("main img, main script, main b").count(), 0);
  assert.notEqual(await page.title(), "owned");

  // Addresses that nobody made here, and ids that are none.
  for (const hash of ["#/actor/%E0%A4%A", `#/actor/${encodeURIComponent(HOSTILE)}`, "#/link/%3Cb%3E/x", "#/nowhere", "#secret="]) {
    await page.evaluate((hash) => (location.hash = hash), hash);
    await page.locator("h1").waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
  }
  await crowd.stop();
  await world.assertQuiet(page);
  await page.close();
});
