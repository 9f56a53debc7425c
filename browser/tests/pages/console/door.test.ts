// Who is let in to the console, with what, and what the page makes of what strangers say.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { Service } from "../../kit/services";
import { ConsoleWorld, skip } from "./kit/world";

const SECRET = "0123456789abcdef";
const ROOM = "demo:room@1:default";
const timeout = 120_000;

let secretFile = "";
const world = new ConsoleWorld((folder) => {
  secretFile = join(folder, "secret");
  writeFileSync(secretFile, SECRET, { mode: 0o600 });
  return {
    ACTR_SIGNALING__REALM_SECRET_FILE: secretFile,
    ACTR_SIGNALING__ISSUER_HOME: join(folder, "issuer"),
    ACTR_SIGNALING__CONSOLE: "here",
  };
});

/** Status of the console for this name of the service. */
function statusFor(host: string, port: number, path = "/"): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode!);
    });
    asked.on("error", reject).end();
  });
}

test("with certificates it asks for a secret or a token, and looks at an actor that has one", { skip, timeout }, async () => {
  const port = new URL(world.signaling.url).port;
  await world.room(ROOM, {
    ACTR_REALM__SECRET_FILE: secretFile,
    ACTR_IDENTITY__ISSUER_URL: `http://127.0.0.1:${port}/issuer`,
  });
  const page = await world.open();
  await page.getByRole("heading", { name: "Who looks?" }).waitFor();
  await page.getByLabel("the realm's secret").check();
  await page.getByLabel("Secret", { exact: true }).fill("a wrong secret");
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("alert").filter({ hasText: "no certificate: " }).waitFor();
  // The browser logs what is not 200, and nothing else has gone wrong.
  assert.match(world.browser.complaints.splice(0).join(), /^logged: Failed to load resource[^,]*40\d[^,]*$/);

  await page.getByLabel("the realm's secret").check();
  await page.getByLabel("Secret", { exact: true }).fill(SECRET);
  await page.getByRole("button", { name: "Join" }).click();
  const row = page.locator(`.row:has([title="${ROOM}"])`);
  await row.locator(".c-state", { hasText: "online" }).waitFor();
  await row.click();
  await page.locator("#panel-identity dd", { hasText: "a certificate" }).waitFor();
  await page.locator("#panel-identity dd", { hasText: "demo:room@1" }).first().waitFor();

  // What was written is kept nowhere.
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases();
    return [localStorage.length, sessionStorage.length, databases.length, document.cookie, location.hash.includes("secret")];
  });
  assert.deepEqual(kept, [0, 0, 0, "", false]);
  await world.assertQuiet(page);
  await page.close();
});

test("what is handed over behind the # is taken out of the address at once", { skip, timeout }, async () => {
  const page = await world.open(`/#secret=${SECRET}&realm=default`);
  await page.locator(`.row:has([title="${ROOM}"]) .c-state`, { hasText: "online" }).waitFor();
  assert.ok(!page.url().includes(SECRET));
  assert.equal(await page.evaluate(() => history.length), 2); // of the tab's beginning, and this
  await world.assertQuiet(page);
  await page.close();
});

test("another name of this machine gets no console, and one that is off is nowhere", { skip, timeout }, async (t) => {
  const port = Number(new URL(world.signaling.url).port);
  assert.equal(await statusFor(`localhost:${port}`, port), 200);
  for (const path of ["/", "/console.js", "/console.json"]) {
    assert.equal(await statusFor("evil.example", port, path), 403);
  }
  const off = await Service.signaling({ ACTR_SIGNALING__CONSOLE: "off" });
  t.after(() => off.stop());
  const page = await world.browser.open("about:blank");
  const answer = await page.goto(`http://localhost:${new URL(off.url).port}/`);
  assert.equal(answer!.status(), 404);
  assert.match((await page.locator("body").textContent())!, /The console is off here\. ACTR_SIGNALING__CONSOLE=here/);
  world.browser.complaints.splice(0); // its status, which the browser logs
  await page.close();
});

test("a realm's secret alone lets it in, too", { skip, timeout }, async (t) => {
  const signaling = await Service.signaling({
    ACTR_SIGNALING__REALM_SECRET_FILE: secretFile,
    ACTR_SIGNALING__CONSOLE: "on",
  });
  t.after(() => signaling.stop());
  const id = "demo:room@7:default";
  const room = await Service.room(id, signaling.url, world.folder, {
    ACTR_REALM__SECRET_FILE: secretFile,
    ACTR_ACTOR__INSPECTION: "look",
  });
  t.after(() => room.stop());
  const page = await world.browser.open(`http://localhost:${new URL(signaling.url).port}/`);
  for (const [secret, outcome] of [["wrong", ".trouble"], [SECRET, `.row:has([title="${id}"]) .mark-good`]] as const) {
    await page.getByLabel("Secret", { exact: true }).fill(secret);
    await page.getByRole("button", { name: "Join" }).click();
    await page.locator(outcome).waitFor();
  }
  await world.assertQuiet();
  await page.close();
});
