// A page of https where no UDP gets out: signaling and the peer's own WebSocket, each behind a proxy that speaks TLS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { skip as withoutChromium } from "./kit/chromium";
import { freePort } from "./kit/ports";
import { skip as withoutTls, TlsProxy } from "./kit/tls";
import { ROOM, step, World } from "./kit/world";

const skip = withoutChromium || withoutTls;
const timeout = 120_000;
let site: TlsProxy, signaling: TlsProxy, room: TlsProxy;

if (!skip) {
  before(async () => {
    [site, signaling, room] = await Promise.all([TlsProxy.start(), TlsProxy.start(), TlsProxy.start()]);
    room.to = await freePort("127.0.0.1"); // what it listens on is not what it says it has
  });
}
after(() => [site, signaling, room].forEach((proxy) => proxy?.stop()));

const world = World.chromium({
  isRun: !skip,
  flags: ["--ignore-certificate-errors"], // nobody's authority has signed it
  signaling: () => ({ ACTR_SIGNALING__ALLOWED_ORIGINS: `https://${site.host}` }),
  room: () => ({
    ACTR_WIRES__ALLOWED_ORIGINS: `https://${site.host}`,
    ACTR_WIRES__ADVERTISE: `wss://${room.host}`,
    ACTR_WIRES__LISTEN: `127.0.0.1:${room.to}`,
  }),
});

const portOf = (url: string) => Number(new URL(url).port);

test("a page of https calls by the wss that the peer says it has, and outlives a cut", { skip, timeout }, async () => {
  site.to = portOf(world.site.origin);
  signaling.to = portOf(world.signaling.url);
  const where = { at: `https://${site.host}`, signaling: `wss://${signaling.host}/v1/ws` };
  const page = await world.tab("acme:safe@1:default", "websocket", where);
  await page.exposeFunction("cut", () => room.cut());
  const { number, ...rest } = await step(page, "kinds", ROOM);
  assert.ok(number > 0);
  assert.deepEqual(rest, { wasPresent: true, people: ["ann"], isWhole: true, moves: [0, 1, 2], code: 3 });
  const given = { remote: ROOM, bytes: 2_000_000, pieces: 20, cuts: [10], calls: 10 };
  const { told, sent, numbers } = await step(page, "upload", given);
  assert.equal(told, sent);
  assert.equal(new Set(numbers).size, 10, "a call ran twice, or was lost");
  assert.equal(await step(page, "made"), 2);
  assert.deepEqual(await step(page, "refused"), []);
  await page.close();
});
