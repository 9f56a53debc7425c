// Certificates in a page: a key that the browser keeps, descriptions that are signed, renewals while calls go on.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import type { Page } from "playwright-core";

import { token } from "../kit/issuer";
import { Service } from "../kit/services";
import { Caller } from "./kit/caller";
import { skip } from "./kit/chromium";
import { ROOM, step, World } from "./kit/world";
import type { Certified } from "./page/certified";

const SECRET = "0123456789abcdef";
/** Seconds of a certificate; it is believed for 60 more, by clocks that differ. */
const LIFE = 30;
const LEEWAY = 60;
const timeout = 240_000;

const home = (world: World) => join(world.folder, "issuer");
let issuer: Service;
const secret = (world: World) => join(world.folder, "secret");
const peer = (world: World) => ({
  ACTR_REALM__SECRET_FILE: secret(world),
  ACTR_IDENTITY__ISSUER_URL: issuer.url,
});

const world = World.chromium({
  signaling: async (_, world) => {
    writeFileSync(secret(world), SECRET, { mode: 0o600 });
    issuer = await serveIssuer(world, home(world), { ACTR_ISSUER__LIFE: String(LIFE) });
    return { ACTR_SIGNALING__ISSUER_KEYS: `${issuer.url}/v1/keys`, ACTR_SIGNALING__REVOKED: `${issuer.url}/v1/revoked` };
  },
  room: (_, world) => peer(world),
});

after(() => issuer?.stop());

function serveIssuer({ site, ...world }: World, folder: string, more: Record<string, string> = {}): Promise<Service> {
  return Service.start(["-m", "actr_signaling.issuer", "serve"], {
    ACTR_ISSUER__HOME: folder,
    ACTR_ISSUER__LISTEN: "127.0.0.1:0",
    ACTR_ISSUER__ALLOWED_ORIGINS: site.origin,
    ACTR_ISSUER__REALM_SECRET_FILE: join(world.folder, "secret"),
    ...more,
  });
}

function wanted(id: string, more: Partial<Certified> = {}): Certified {
  return { signaling: world.signaling.url, issuer: issuer.url, id: `${id}:default`, ...more };
}

const open = (): Promise<Page> => world.browser.open(world.site.origin);

test("a page that is loaded again has its key again, which nobody can take out", { skip, timeout }, async () => {
  const page = await open();
  const key = await step(page, "certify", wanted("acme:page@1", { token: token(home(world), "acme:page@1") }));
  assert.ok(Number(await step(page, "certifiedSay", { remote: ROOM })) > 0);
  const { ways, isExtractable, shown } = await step(page, "takeOut", "acme:page@1 default");
  assert.ok(ways.every((way) => way.startsWith("InvalidAccessError")), ways.join());
  assert.deepEqual([isExtractable, shown], [false, "{}"]);

  await page.reload();
  assert.equal(await step(page, "certify", wanted("acme:page@1")), key, "no token was asked for, for the key is known");
  assert.ok(Number(await step(page, "certifiedSay", { remote: ROOM })) > 0);
  await step(page, "uncertify");

  await step(page, "forgetKey", "acme:page@1 default");
  assert.notEqual(await step(page, "keptKey", "acme:page@1 default"), key);
  assert.match(await step(page, "certifyOrTell", wanted("acme:page@1")), /^ConfigError: .*there is no join token/);
  await world.assertQuiet(page);
  await page.close();
});

test("two tabs have one key and one certificate, and an id each", { skip, timeout }, async () => {
  const [one, two] = [await open(), await open()];
  const ann = (tab: string) => wanted(`acme:ann@${tab}`, { subject: "acme:ann@*" });
  const [first, second] = await Promise.all([step(one, "keptKey", "acme:ann@* default"), step(two, "keptKey", "acme:ann@* default")]);
  assert.equal(first, second, "both made one at once, and each has its own");
  assert.equal(await step(one, "certify", { ...ann("1"), token: token(home(world), "acme:ann@*", "--patterns") }), first);
  assert.equal(await step(two, "certify", ann("2")), first);
  for (const page of [one, two]) {
    assert.ok(Number(await step(page, "certifiedSay", { remote: ROOM })) > 0);
    assert.deepEqual((await step(page, "heardOfCertificates")).refused, []);
  }
  await world.assertQuiet(one, two);
  await one.close();
  await two.close();
});

test("it is renewed while a stream goes on, for longer than one of them is good", { skip, timeout }, async () => {
  const page = await open();
  await step(page, "certify", wanted("acme:page@2", { token: token(home(world), "acme:page@2", "--life", String(LIFE)) }));
  const seconds = LIFE + LEEWAY + 10;
  await step(page, "listen", { remote: ROOM, lines: seconds * 4, everyMs: 250 });
  let heard = await step(page, "heardOfCertificates");
  const until = Date.now() + 2 * seconds * 1000;
  while (heard.ended === "" && Date.now() < until) {
    assert.ok(Number(await step(page, "certifiedSay", { remote: ROOM })) > 0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    heard = await step(page, "heardOfCertificates");
  }
  assert.equal(heard.ended, "in good order");
  assert.ok(heard.came > 0 && heard.doubled === 0, String(heard.came));
  assert.ok(heard.given.length >= 4, JSON.stringify(heard.given));
  assert.equal(new Set(heard.given.map(({ key }) => key)).size, 1);
  assert.deepEqual([heard.failed, heard.refused], [[], []]);
  await world.assertQuiet(page);
  await page.close();
});

test("an issuer that is away is told of, asked again, and takes nothing away", { skip, timeout }, async (t) => {
  const proxied = await world.browser.open(world.site.origin);
  let isAway = false;
  await proxied.route(`${issuer.url}/v1/{nonce,enrol,renew}`, (route) => (isAway ? route.abort() : route.continue()));
  t.after(() => proxied.close());
  await step(proxied, "certify", wanted("acme:page@3", { token: token(home(world), "acme:page@3", "--life", String(LIFE)) }));
  isAway = true;
  const failed = async (count: number) => {
    for (;;) {
      const heard = await step(proxied, "heardOfCertificates");
      if (heard.failed.length >= count) {
        return heard;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const { failed: told, given } = await failed(2);
  assert.match(told[0]![0], /^UnreachableError: cannot reach the issuer/);
  assert.ok(told[0]![1] > 0 && told[0]![1] < LIFE / 2, `good for ${told[0]![1]} s`);
  assert.ok(Number(await step(proxied, "certifiedSay", { remote: ROOM })) > 0, "the old one is good");
  isAway = false;
  await proxied.evaluate(() => dispatchEvent(new Event("online")));
  while ((await step(proxied, "heardOfCertificates")).given.length === given.length) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // A request that was kept from it is an error in the console, and nothing else is.
  const said = world.browser.complaints.splice(0);
  assert.deepEqual(said.filter((each) => !/ERR_FAILED/.test(each)), []);
});

test("certificates of another issuer are refused on both sides", { skip, timeout }, async (t) => {
  const folder = join(world.folder, "other");
  const origin = world.site.origin;
  const other = await serveIssuer(world, folder);
  t.after(() => other.stop());
  const page = await open();
  // The service that asks for certificates takes none of a stranger's.
  const stranger = wanted("acme:page@4", { issuer: other.url, token: token(folder, "acme:page@4") });
  assert.match(await step(page, "certifyOrTell", stranger), /^ConfigError: .*not among those known/);

  // Past a service that lets everybody in, it is the peers who look at each other.
  const lax = await Service.signaling({ ACTR_SIGNALING__ALLOWED_ORIGINS: origin });
  t.after(() => lax.stop());
  const strict = await Service.room("demo:room@2:default", lax.url, world.folder, peer(world));
  t.after(() => strict.stop());
  const call = { remote: "demo:room@2:default", timeout: 8 };
  await step(page, "certify", wanted("acme:page@5", { signaling: lax.url, token: token(home(world), "acme:page@5") }));
  assert.ok(Number(await step(page, "certifiedSay", call)) > 0, "of the same issuer it is called");
  await page.reload();
  await step(page, "certify", { ...stranger, signaling: lax.url, isFresh: true, token: token(folder, "acme:page@4") });
  assert.match(String(await step(page, "certifiedSay", call)), /^(UnreachableError|DeadlineError|CallError)/);
  const { refused } = await step(page, "heardOfCertificates");
  assert.ok(refused.some((each) => /^demo:room@2:default.*unknown issuer key/.test(each)), refused.join());

  // The other way: a peer of the stranger's calls a page of ours.
  await page.reload();
  await step(page, "certify", wanted("acme:page@5", { signaling: lax.url }));
  const settings = { ...peer(world), ACTR_IDENTITY__ISSUER_URL: other.url, ACTR_ACTOR__ID: "demo:caller@1:default" };
  const caller = await Caller.start(lax.url, settings);
  t.after(() => caller.stop());
  await assert.rejects(caller.ask("say", { actor: "acme:page@5:default", timeout: 8 }), /UnreachableError|DeadlineError/);
  await page.close();
});

test("where keys cannot be kept, or are unknown, it is said what to do", { skip, timeout }, async () => {
  const page = await open();
  assert.match(await step(page, "without", "ed25519", "x"), /^ConfigError: this browser has no Ed25519 keys: take Chromium 137/);
  assert.match(await step(page, "without", "indexedDB", "x"), /^ConfigError: no key can be kept in IndexedDB here .*OwnIdentity\.make/);
  await world.assertQuiet(page);
  await page.close();
});
