// The client against the real signaling service: presence, discovery, relays, outages, refusals.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "ws";

import { BusyError, ConfigError, UnreachableError } from "../../src/errors";
import { utf8 } from "../../src/protocol/bytes";
import { ActrId } from "../../src/protocol/identity/ids";
import type { PresenceEvent } from "../../src/protocol/signaling/presence";
import { Proofs } from "../../src/protocol/signaling/proofs";
import type { NegotiateMessage } from "../../src/protocol/webrtc/negotiation";
import { webCrypto } from "../../src/wire/crypto";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SignalingState } from "../../src/wire/signaling/upkeep";
import type { SocketClass } from "../../src/wire/socket";
import { Service, skip } from "../kit/services";

const SECRET = "0123456789abcdef";
const BYE: NegotiateMessage = { connectionId: "c1", exchange: 0, body: { kind: "bye", reason: "r" } };

/** Of which each test may wait for the next. */
class Heard<T> {
  readonly all: T[] = [];
  #next: (() => void) | undefined;

  readonly add = (item: T): void => {
    this.all.push(item);
    this.#next?.();
  };

  async until(wanted: (item: T) => boolean): Promise<T> {
    for (;;) {
      const found = this.all.find(wanted);
      if (found !== undefined) {
        return found;
      }
      await new Promise<void>((resolve) => {
        this.#next = resolve;
      });
    }
  }
}

function client(url: string, instance: string, { secret = "", incarnation = 7n, takesOver = true } = {}) {
  const events = new Heard<PresenceEvent>();
  const relays = new Heard<[string, bigint, NegotiateMessage]>();
  const states = new Heard<SignalingState>();
  const id = new ActrId("acme", "page", instance);
  const made = new SignalingClient({
    url,
    socket: WebSocket as unknown as SocketClass,
    registration: { id, incarnation, services: [["demo.Chat", "ab12"]], metadata: { color: "blue" }, takesOver },
    proofs: new Proofs(webCrypto, utf8(secret)),
    sink: {
      relayed: (source, negotiate, far) => relays.add([source.text, far, negotiate]),
      presence: events.add,
      state: states.add,
    },
  });
  after(() => made.close());
  return { id, made, events, relays, states };
}

const timeout = 30_000;

test("two register, see each other come and go, find each other and relay", { skip, timeout }, async () => {
  const service = await Service.signaling();
  after(() => service.stop());
  const [one, two] = [client(service.url, "1"), client(service.url, "2", { incarnation: 9n })];
  await one.made.start();
  const before = await one.made.subscribe("acme:page");
  assert.deepEqual(before.map(({ id }) => id.text), [one.id.text]);
  await two.made.start();
  const joined = await one.events.until(({ presence }) => presence.id.equals(two.id));
  assert.equal(joined.change, "join");
  assert.deepEqual([joined.presence.incarnation, joined.presence.metadata], [9n, { color: "blue" }]);
  assert.equal(one.made.find(two.id)?.incarnation, 9n);

  const found = await two.made.discover({ service: "demo.Chat" });
  assert.deepEqual(found.map(({ id }) => id.text).sort(), [one.id.text, two.id.text]);
  assert.equal((await two.made.discover({ actrType: "acme:page", limit: 1 })).length, 1);
  assert.equal((await two.made.lookup(one.id))?.incarnation, 7n);
  assert.equal(await two.made.lookup(new ActrId("acme", "page", "9")), undefined);

  await two.made.relay(one.id, BYE);
  assert.deepEqual(await one.relays.until(() => true), [two.id.text, 9n, BYE]);
  await assert.rejects(
    two.made.relay(new ActrId("acme", "page", "9"), BYE),
    (error) => error instanceof UnreachableError && error.why === "signaling knows no such actor",
  );

  await two.made.close();
  const left = await one.events.until(({ change }) => change === "leave");
  assert.deepEqual([left.presence.id.text, left.reason], [two.id.text, "closed"]);
  assert.equal(one.made.find(two.id), undefined);
  assert.deepEqual(two.states.all, ["registered", "closed"]);
});

test("the realm's secret is proved, and whoever lacks it is refused for good", { skip, timeout }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-secret-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "secret");
  writeFileSync(file, SECRET);
  const service = await Service.signaling({ ACTR_SIGNALING__REALM_SECRET_FILE: file });
  after(() => service.stop());
  const good = client(service.url, "1", { secret: SECRET });
  await good.made.start();
  assert.equal(good.made.state, "registered");
  const bad = client(service.url, "2", { secret: "another secret of sixteen" });
  await assert.rejects(bad.made.start(), ConfigError);
  const none = client(service.url, "3");
  await assert.rejects(none.made.start(), /asks for proof of the realm secret/);
  assert.equal(none.made.state, "refused");
});

test("a newer process takes the identity, or is told that it is taken", { skip, timeout }, async () => {
  const service = await Service.signaling();
  after(() => service.stop());
  const old = client(service.url, "1");
  await old.made.start();
  const shy = client(service.url, "1", { incarnation: 8n, takesOver: false });
  await assert.rejects(shy.made.start(), BusyError);
  const bold = client(service.url, "1", { incarnation: 9n });
  await bold.made.start();
  await old.states.until((state) => state === "replaced");
  await assert.rejects(old.made.discover({ actrType: "acme:page" }), BusyError);
});

test("a service that is killed is found again, with all that was asked meanwhile", { skip, timeout }, async () => {
  const first = await Service.signaling();
  after(() => first.stop());
  const [one, two] = [client(first.url, "1"), client(first.url, "2")];
  await one.made.start();
  await two.made.start();
  await one.made.subscribe();
  await first.stop("SIGKILL");
  await one.states.until((state) => state === "waiting");
  // It goes out as soon as there is a service, which may not know the other one yet.
  const asked = one.made.relay(two.id, BYE, 20).catch((error: unknown) => {
    assert.ok(error instanceof UnreachableError, String(error));
  });
  assert.match(one.made.trouble, /is away/);
  const second = await Service.signaling({}, Number(new URL(first.url).port));
  after(() => second.stop());
  await two.states.until(() => two.made.state === "registered" && two.states.all.length > 1);
  one.made.retry();
  await asked;
  await one.made.relay(two.id, BYE, 20);
  await two.relays.until(() => true);
  assert.equal(one.made.state, "registered");
});

test("where nobody listens, a start says so in time", { skip, timeout }, async () => {
  const alone = client("ws://127.0.0.1:9/v1/ws", "1");
  await assert.rejects(alone.made.start(1), /not registered within 1 s: connection lost/);
  await assert.rejects(client("nonsense", "1").made.start(1), ConfigError);
});
