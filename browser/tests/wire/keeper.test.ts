// A page's certificate over time, with an issuer and clocks in the hands of the test: what is asked when
// a key is taken no more, when nothing can be kept, when a clock is set, and when the issuer talks nonsense.

import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { after, test } from "node:test";

import { ConfigError, type PeerError, UnreachableError } from "../../src/errors";
import { join } from "../../src/join";
import { utf8 } from "../../src/protocol/bytes";
import { type Refusal } from "../../src/protocol/identity/asking";
import { encode } from "../../src/protocol/identity/base64url";
import { type Certificate, readCertificate } from "../../src/protocol/identity/certificates";
import { ActrId } from "../../src/protocol/identity/ids";
import { toJwk } from "../../src/protocol/identity/keys";
import { Revoked } from "../../src/protocol/identity/revoked";
import { Proofs } from "../../src/protocol/signaling/proofs";
import { webCrypto } from "../../src/wire/crypto";
import type { Shelf } from "../../src/wire/identity/asking";
import { IssuerClock } from "../../src/wire/identity/clock";
import { Credentials } from "../../src/wire/identity/credentials";
import { IssuerClient } from "../../src/wire/identity/issuer";
import { Keeper } from "../../src/wire/identity/keeper";
import { find } from "../../src/wire/identity/kept";
import { OwnIdentity } from "../../src/wire/identity/own";
import { Trusted } from "../../src/wire/identity/trusted";
import { Issuer } from "../kit/issuer";

const ID = ActrId.read("acme:page@1:default");
const NOW = 1_800_000_000;
const timeout = 20_000;

const refusal = (cause: string): Refusal => ({ kind: "refusal", cause, text: cause, isFinal: true, retryAfter: 0 });
const away = () => Promise.reject(new UnreachableError("the issuer", "it is away"));

/** A page with an issuer that gives what `told` says; `wall` and `steady` are its device's clocks. */
async function page(shelf: Partial<Shelf> = {}) {
  const issuer = await Issuer.make(NOW);
  const identity = await OwnIdentity.make();
  const time = { wall: NOW, steady: 1000 };
  const clock = new IssuerClock(() => time.wall, () => time.steady);
  const give = async () => readCertificate(utf8(await issuer.issue(ID, identity.raw)));
  const told: Record<"renew" | "enrol", () => Promise<Certificate | Refusal>> = { renew: give, enrol: give };
  const login = { takes: () => {} }; // what goes by while a person logs in
  const asked: string[] = [];
  const failures: PeerError[] = [];
  const given: Certificate[] = [];
  let wake = () => {};
  const client = {
    url: "https://issuer",
    renew: () => (asked.push("renew"), told.renew()),
    enrol: () => (asked.push("enrol"), told.enrol()),
    keys: async () => issuer.keys,
  };
  const kept: string[] = [];
  const options = {
    actor: ID,
    subject: "acme:page@1",
    primitives: webCrypto,
    identity,
    client: client as unknown as IssuerClient,
    clock,
    trusted: new Trusted(webCrypto, client as unknown as IssuerClient, undefined, new Map(), () => clock.now()),
    shelf: { find: async () => "", keep: async (text: string) => void kept.push(text), ...shelf },
    token: () => (asked.push("token"), login.takes(), "t"),
    secret: "",
    renewed: (certificate: Certificate) => (given.push(certificate), wake()),
    failed: (error: PeerError) => (failures.push(error), wake()),
  };
  const keeper = new Keeper(options);
  after(() => keeper.stop());
  const until = async (isSo: () => boolean) => {
    while (!isSo()) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { keeper, issuer, identity, time, clock, client, told, login, give, asked, failures, given, kept, until };
}

async function site(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

test("a key that another browser has put out is enrolled anew, once, and the application is told", { timeout }, async () => {
  const { keeper, issuer, told, asked, failures } = await page();
  await keeper.start();
  issuer.now += 1; // else it would be the same certificate
  told.renew = async () => refusal("superseded");
  asked.length = 0;
  assert.equal(await keeper.renew(), true);
  assert.deepEqual(asked, ["renew", "token", "enrol"]);
  assert.match(failures[0]!.message, /enrolled in another browser since: log in again/);
  asked.length = 0;
  assert.equal(await keeper.renew(), false, "two browsers would put each other out for ever");
  assert.deepEqual(asked, ["renew"]);
  assert.equal(failures.length, 2);
});

test("an issuer that is away for a moment, or asks to come later, spends no enrolment", { timeout }, async () => {
  const { keeper, issuer, told, give, asked } = await page();
  await keeper.start();
  issuer.now += 1;
  told.renew = async () => refusal("superseded");
  asked.length = 0;
  for (const passing of [away, async () => ({ ...refusal("too-fast"), isFinal: false })]) {
    told.enrol = passing;
    assert.equal(await keeper.renew(), false);
  }
  told.enrol = give;
  assert.equal(await keeper.renew(), true);
  assert.deepEqual(asked, Array(3).fill(["renew", "token", "enrol"]).flat());
  asked.length = 0;
  assert.equal(await keeper.renew(), false);
  assert.deepEqual(asked, ["renew"]);
});

test("a key that was revoked is replaced where the browser keeps it, with a token at hand", { timeout }, async () => {
  const other = await OwnIdentity.make();
  const fresh = { key: {} as CryptoKey, raw: other.raw };
  const { keeper, identity, told, asked, failures, given } = await page({ replace: async () => (asked.push("replace"), fresh) });
  await keeper.start();
  told.renew = async () => refusal("revoked");
  asked.length = 0;
  assert.equal(await keeper.renew(), true);
  assert.deepEqual(asked, ["renew", "token", "replace", "enrol"]);
  assert.match(failures[0]!.message, /was logged out: log in again/);
  assert.deepEqual([identity.raw, given.at(-1)!.key], [other.raw, other.raw]);
});

test("a key of this load of the page alone that was revoked stays so", { timeout }, async () => {
  const { keeper, told, asked, failures } = await page();
  await keeper.start();
  told.renew = async () => refusal("revoked");
  asked.length = 0;
  assert.equal(await keeper.renew(), false);
  assert.deepEqual(asked, ["renew"]);
  assert.ok(failures[0] instanceof ConfigError && /log in again/.test(failures[0].message));
});

test("what is kept and cannot be read costs no renewal", { timeout }, async (t) => {
  const warned = t.mock.method(console, "warn", () => {});
  const { keeper, issuer, given, failures } = await page({ find: () => Promise.reject(new ConfigError("disk full")) });
  await keeper.start();
  issuer.now += 1;
  assert.equal(await keeper.renew(), true);
  assert.deepEqual([given.length, failures.length], [2, 0]);
  assert.equal(warned.mock.callCount(), 3);
});

test("a browser that answers nothing about what it keeps is waited for five seconds", { timeout }, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  Object.assign(globalThis, { indexedDB: { open: () => ({}) } });
  t.after(() => Reflect.deleteProperty(globalThis, "indexedDB"));
  const found = find("a name");
  t.mock.timers.tick(5000);
  await assert.rejects(found, (error) => error instanceof ConfigError && /no answer within 5 s/.test(error.message));
});

test("a device's clock that is set back changes nothing", { timeout }, async () => {
  const { keeper, issuer, time, clock, given, until } = await page();
  await keeper.start();
  time.wall -= 3600;
  time.steady += 650;
  issuer.now += 650;
  assert.equal(clock.now(), NOW + 650);
  keeper.wake();
  await until(() => given.length === 2);
});

test("one that is ahead is believed when the issuer says so, which is asked at once", { timeout }, async () => {
  const { keeper, issuer, time, clock, told, asked, failures, given, give, until } = await page();
  await keeper.start();
  told.renew = away;
  time.wall += 3600;
  asked.length = 0;
  assert.equal(clock.now(), NOW, "certificates of others are judged by a clock that somebody has set");
  await until(() => failures.length > 0);
  assert.deepEqual(asked, ["renew"]);
  assert.equal(clock.now(), NOW);
  issuer.now += 3600; // it has slept
  told.renew = give;
  keeper.wake();
  await until(() => given.length === 2);
  assert.equal(clock.now(), NOW + 3600.5); // in the middle of the second that it names
  time.wall += 20; // by so little clocks are put right
  assert.equal(clock.latest(), NOW + 3600.5);
});

test("one that was set forward, and the issuer says so: the time goes on as it was", { timeout }, async () => {
  const { keeper, issuer, time, clock, given, until } = await page();
  await keeper.start();
  issuer.now += 1;
  time.steady += 1;
  time.wall += 3600;
  clock.now();
  await until(() => given.length === 2);
  assert.deepEqual([clock.now(), clock.latest()], [NOW + 1, NOW + 1]);
});

test("one that was ahead for a moment holds up no renewal", { timeout }, async () => {
  let found = "";
  const { keeper, issuer, identity, time, given, until } = await page({ find: async () => found });
  await keeper.start();
  const pass = (seconds: number) => {
    time.steady += seconds;
    time.wall += seconds;
    issuer.now += seconds;
  };
  pass(610);
  found = await issuer.issue(ID, identity.raw); // another tab has renewed
  time.wall += 36_000;
  keeper.wake();
  await until(() => given.length === 2);
  time.wall -= 36_000;
  pass(610);
  keeper.wake();
  await until(() => given.length === 3);
});

test("how long a person takes to log in is no part of what the issuer's time is learnt from", { timeout }, async () => {
  const { keeper, issuer, time, clock, login } = await page();
  issuer.now += 2; // the device is two seconds slow
  login.takes = () => {
    time.wall += 300;
    time.steady += 300;
    issuer.now += 300;
  };
  await keeper.start();
  assert.equal(clock.now(), NOW + 302.5);
});

test("one that was stopped says nothing any more", { timeout }, async () => {
  const { keeper, told, given, give, failures, issuer } = await page();
  await keeper.start();
  for (const answer of [give, away]) {
    let answered!: () => void;
    const isAsked = new Promise<void>((asked) => {
      told.renew = () => new Promise((resolve) => {
        answered = () => resolve(answer());
        asked();
      });
    });
    issuer.now += 1;
    const { keeper: other, ...its } = await page();
    await other.start();
    its.told.renew = () => told.renew();
    void other.renew();
    await isAsked;
    other.stop();
    answered();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([its.given.length, its.failures.length, await other.renew()], [1, 0, false]);
  }
  assert.deepEqual([given.length, failures.length], [1, 0]);
});

test("a certificate is kept though the issuer's keys cannot be had: no second token is asked for", { timeout }, async () => {
  const { keeper, client, issuer, asked, kept, identity, until, failures, given } = await page();
  client.keys = away;
  const started = keeper.start();
  await until(() => failures.length === 1);
  assert.deepEqual(kept, [identity.certificate]);
  assert.notEqual(identity.certificate, "");
  client.keys = async () => issuer.keys;
  keeper.wake();
  await started;
  assert.deepEqual(asked, ["token", "enrol", "renew"]);
  assert.equal(given.length, 1);
});

test("nonsense of an issuer is one that is away", { timeout }, async () => {
  const client = new IssuerClient(await site((_, answer) => answer.end("<html>")), webCrypto);
  await assert.rejects(client.keys(), UnreachableError);
  await assert.rejects(client.revoked(), UnreachableError);
});

test("what is revoked is believed though the keys cannot be had", { timeout }, async () => {
  const revoked = new Revoked();
  const client = { keys: away, revoked: async () => revoked } as unknown as IssuerClient;
  const trusted = new Trusted(webCrypto, client, undefined, new Map(), () => NOW);
  const refused: Revoked[] = [];
  trusted.watch({ refuse: (each: Revoked) => refused.push(each) } as never);
  trusted.stop();
  await trusted.look();
  assert.deepEqual(refused, [revoked]);
});

test("who has slept past the end of its certificate hears that there is one again", { timeout }, async (t) => {
  const real = Date.now;
  let slept = 0;
  t.mock.method(Date, "now", () => real() + slept);
  const key = await OwnIdentity.make();
  const issuer = await Issuer.make(0);
  const url = await site(async ({ url }, answer) => {
    issuer.now = Math.floor(Date.now() / 1000);
    const told: Record<string, () => unknown> = {
      "/v1/nonce": () => ({ nonce: encode(new Uint8Array(32)) }),
      "/v1/keys": () => ({ keys: [...issuer.keys].map(([kid, raw]) => ({ ...toJwk(raw), kid })) }),
      "/v1/revoked": () => ({ revoked: [], version: 1 }),
    };
    answer.end(JSON.stringify((await told[url!]?.()) ?? { certificate: await issuer.issue(ID, key.raw) }));
  });
  const credentials = await Credentials.open(ID, { issuer: url, key, token: () => "t" });
  t.after(() => credentials.close());
  const returned = new Promise<void>((resolve) => (credentials.returned = resolve));
  slept = 3_600_000;
  credentials.wake();
  await returned;
  const closed = t.mock.method(Credentials.prototype, "close");
  const page = { issuer: url, key, token: () => "t" };
  const socket = globalThis.WebSocket;
  Object.assign(globalThis, { WebSocket: undefined });
  t.after(() => Object.assign(globalThis, { WebSocket: socket }));
  await assert.rejects(join("ws://127.0.0.1:1", ID.text, { identity: page }), /no WebSocket here/);
  assert.equal(closed.mock.callCount(), 1, "it goes on asking the issuer");
});

test("an identity and proofs are two words for one thing", async () => {
  const both = { identity: { issuer: "https://issuer.example" }, proofs: new Proofs(webCrypto) };
  await assert.rejects(join("ws://127.0.0.1:1", ID.text, both), (error) => error instanceof ConfigError && /or `proofs`/.test(error.message));
});
