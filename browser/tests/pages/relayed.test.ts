// A page that has only the wire that signaling relays, as behind a firewall that lets no UDP through:
// with certificates of a real issuer, against a room of Python that nobody can dial.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { token } from "../kit/issuer";
import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";

const timeout = 240_000;
const home = (world: World) => join(world.folder, "issuer");
const secret = (world: World) => join(world.folder, "secret");
const issuerOf = (world: World) => `http://${new URL(world.signaling.url).host}/issuer`;

const world = World.chromium({
  signaling: (site, world) => {
    writeFileSync(secret(world), "0123456789abcdef", { mode: 0o600 });
    return {
      ACTR_SIGNALING__RELAYED_WIRES: "8",
      ACTR_SIGNALING__REALM_SECRET_FILE: secret(world),
      ACTR_SIGNALING__ISSUER_HOME: home(world),
      ACTR_ISSUER__ALLOWED_ORIGINS: site.origin,
    };
  },
  // Without WebRTC it leaves offers unanswered, and it has no listener.
  room: (_, world) => ({
    ACTR_WIRES__PREFER: "websocket",
    ACTR_WIRES__LISTEN: "",
    ACTR_REALM__SECRET_FILE: secret(world),
    ACTR_IDENTITY__ISSUER_URL: issuerOf(world),
  }),
});

async function metric(name: string): Promise<number> {
  const page = await (await fetch(`http://${new URL(world.signaling.url).host}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page)?.[1]);
}

test("a page calls a room by the wire that signaling relays, and by nothing else", { skip, timeout }, async () => {
  const page = await world.browser.open(world.site.origin);
  await step(page, "certify", {
    signaling: world.signaling.url,
    issuer: issuerOf(world),
    id: "acme:page@1:default",
    token: token(home(world), "acme:page@1"),
  });
  const first = Number(await step(page, "certifiedSay", { remote: ROOM, timeout: 60 }));
  assert.ok(first > 0, String(first));
  assert.equal(await step(page, "certifiedSay", { remote: ROOM }), first + 1);
  assert.deepEqual((await step(page, "heardOfCertificates")).refused, []);
  assert.equal(await metric("actr_signaling_wires"), 1);
  assert.ok((await metric("actr_signaling_wires_bytes_total")) > 0);
  await world.assertQuiet(page);
  await step(page, "uncertify");
  await page.close();
});
