// Wires that signaling relays, between pages and Python, where nothing else comes about: both sides of
// the handshake, with certificates and without, cut and bent.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";

import { WebSocket } from "ws";

import { ChatClient } from "../../demo/gen/actr/demo/chat_actr";
import { UnreachableError } from "../../src/errors";
import { join, type Joined, type JoinOptions } from "../../src/join";
import { WireKind } from "../../src/protocol/payload";
import { route } from "../../src/service";
import type { Wire } from "../../src/wire/base";
import { OwnIdentity } from "../../src/wire/identity/own";
import type { SocketClass } from "../../src/wire/socket";
import { SAY, text, type Text } from "../kit/contract";
import { token } from "../kit/issuer";
import { Service, skip } from "../kit/services";

const ROOM = "demo:room@1:default";
const timeout = 120_000;
/** A room that dials and takes nothing else. */
const ALONE = { ACTR_WIRES__LISTEN: "", ACTR_WIRES__PREFER: "websocket" };
const RELAYING = { ACTR_SIGNALING__RELAYED_WIRES: "16" };
const serve = [route(SAY, (request: Text) => request)];

/** Sockets of `/v1/wire`, which a test may cut. */
const cuttable: WebSocket[] = [];
class Socket extends WebSocket {
  constructor(url: string, protocols?: string[]) {
    super(url, protocols);
    if (url.endsWith("/v1/wire")) {
      cuttable.push(this);
    }
  }
}

async function online(t: TestContext, url: string, id: string, options: JoinOptions = {}): Promise<Joined & { wires: Wire[] }> {
  const wires: Wire[] = [];
  const joined = await join(url, id, {
    socket: Socket as unknown as SocketClass,
    kinds: [WireKind.RELAYED],
    wires: { opened: (wire) => void wires.push(wire) },
    ...options,
  });
  t.after(() => joined.close());
  return Object.assign(joined, { wires });
}

describe("in development mode", { skip }, () => {
  const folder = mkdtempSync(path(tmpdir(), "actr-relayed-"));
  let signaling: Service;
  let room: Service;
  before(async () => {
    signaling = await Service.signaling(RELAYING);
    room = await Service.room(ROOM, signaling.url, folder, ALONE);
  });
  after(async () => {
    await room.stop();
    await signaling.stop();
    rmSync(folder, { recursive: true });
  });

  test("a page calls a room of Python, through three cuts", { timeout }, async (t) => {
    const page = await online(t, signaling.url, "acme:page@1:default");
    const chat = new ChatClient(page.to(ROOM));
    const first = Number((await chat.say({ author: "page" }, { timeout: 60 })).number);
    assert.deepEqual(page.wires.map(({ kind }) => kind), [WireKind.RELAYED]);
    const numbers: number[] = [];
    for (let cut = 0; cut < 3; cut++) {
      const calls = Array.from({ length: 30 }, () => chat.say({ author: "page" }, { timeout: 60 }));
      await calls[3];
      cuttable.at(-1)!.terminate();
      numbers.push(...(await Promise.all(calls)).map(({ number }) => Number(number)));
    }
    assert.deepEqual(numbers, Array.from({ length: 90 }, (_, at) => first + 1 + at));
    assert.ok(page.wires.length > 1);
  });

  test("a page calls a page: one of them comes when it is told", { timeout }, async (t) => {
    const [near, far] = await Promise.all(["acme:near@1:default", "acme:far@1:default"].map((id) => online(t, signaling.url, id, { serve })));
    const long = "x".repeat(200_000);
    assert.equal((await near!.to(far!.id).unary(SAY, text(long), { timeout: 60 })).value, long);
    assert.equal((await far!.to(near!.id).unary(SAY, text("back"), { timeout: 60 })).value, "back");
    assert.ok([near, far].every((one) => one!.wires.every(({ kind }) => kind === WireKind.RELAYED)));
    assert.deepEqual([near!.wires[0]!.wasDialled, far!.wires[0]!.wasDialled].sort(), [false, true]);
  });

  test("what is changed on the way ends the wire, and another takes over", { timeout }, async (t) => {
    const page = await online(t, signaling.url, "acme:page@2:default");
    const chat = new ChatClient(page.to(ROOM));
    const before = Number((await chat.say({ author: "page" }, { timeout: 60 })).number);
    const socket = cuttable.at(-1)!;
    const send = socket.send.bind(socket) as (data: Uint8Array) => void;
    socket.send = ((data: Uint8Array) => send(data.map((byte, at) => (at === 0 ? byte ^ 1 : byte)))) as never;
    assert.equal(Number((await chat.say({ author: "page" }, { timeout: 60 })).number), before + 1);
    assert.ok(page.wires.length > 1);
  });
});

test("one that asks without end gets little, and takes nothing of others", { skip, timeout }, async (t) => {
  const signaling = await Service.signaling(RELAYING);
  t.after(() => signaling.stop());
  const far = await online(t, signaling.url, "acme:far@1:default", { serve });
  const stranger = await online(t, signaling.url, "acme:stranger@1:default", { kinds: [WireKind.WEBSOCKET] });
  const before = cuttable.length;
  for (let number = 0; number < 12; number++) {
    const connectionId = number.toString(16).padStart(32, "0");
    await stranger.signaling.relay(far.id, { connectionId, exchange: 0, body: { kind: "wire" } });
  }
  const near = await online(t, signaling.url, "acme:near@1:default", { serve });
  assert.equal((await near.to(far.id).unary(SAY, text("hi"), { timeout: 60 })).value, "hi");
  const ofBoth = near.wires.length + far.wires.length;
  assert.equal(cuttable.length - before - ofBoth, 2);
});

test("where signaling relays none a call fails in words, soon", { skip, timeout }, async (t) => {
  const signaling = await Service.signaling();
  t.after(() => signaling.stop());
  const page = await online(t, signaling.url, "acme:page@1:default");
  await online(t, signaling.url, "acme:far@1:default", { serve });
  const began = performance.now();
  await assert.rejects(page.to("acme:far@1:default").unary(SAY, text("hi"), { timeout: 60 }), (error) => {
    assert.match(String(error), /this service relays no wires/);
    assert.ok(error instanceof UnreachableError);
    return true;
  });
  assert.ok(performance.now() - began < 20_000);
});

test("where no key can be made nobody is asked to come", { skip, timeout }, async (t) => {
  const signaling = await Service.signaling(RELAYING);
  t.after(() => signaling.stop());
  const far = await online(t, signaling.url, "acme:far@1:default", { serve });
  const near = await online(t, signaling.url, "acme:near@1:default");
  t.mock.method(crypto.subtle, "generateKey", () => Promise.reject(new DOMException("no X25519 here", "NotSupportedError")));
  const relay = t.mock.method(near.signaling, "relay");
  await assert.rejects(near.to(far.id).unary(SAY, text("hi"), { timeout: 60 }), /no key can be made here.*no X25519 here/);
  assert.equal(relay.mock.callCount(), 0);
});

describe("with certificates", { skip }, () => {
  const folder = mkdtempSync(path(tmpdir(), "actr-relayed-"));
  const home = path(folder, "issuer");
  let [signaling, room]: (Service | undefined)[] = [];
  let issuer: string;
  before(async () => {
    const file = path(folder, "secret");
    writeFileSync(file, "0123456789abcdef", { mode: 0o600 });
    signaling = await Service.signaling({
      ...RELAYING,
      ACTR_SIGNALING__REALM_SECRET_FILE: file,
      ACTR_SIGNALING__ISSUER_HOME: home,
    });
    issuer = `http://${new URL(signaling.url).host}/issuer`;
    const secret = { ACTR_REALM__SECRET_FILE: file };
    room = await Service.room(ROOM, signaling.url, folder, { ...ALONE, ...secret, ACTR_IDENTITY__ISSUER_URL: issuer });
  });
  after(async () => {
    await room?.stop();
    await signaling?.stop();
    rmSync(folder, { recursive: true });
  });
  const identity = async (subject: string) => ({
    identity: { issuer, key: await OwnIdentity.make(), token: () => token(home, subject) },
  });

  test("a page and a room prove who they are to each other", { timeout }, async (t) => {
    const page = await online(t, signaling!.url, "acme:page@1:default", await identity("acme:page@1"));
    const chat = new ChatClient(page.to(ROOM));
    assert.equal(Number((await chat.say({ author: "page" }, { timeout: 60 })).number), 1);
    assert.equal(page.wires[0]!.certificate?.subject, "demo:room@1");
  });

  test("two pages do, on either side of the handshake", { timeout }, async (t) => {
    const made: Awaited<ReturnType<typeof online>>[] = [];
    for (const subject of ["acme:near@1", "acme:far@1"]) {
      made.push(await online(t, signaling!.url, `${subject}:default`, { serve, ...(await identity(subject)) }));
    }
    const [near, far] = made;
    assert.equal((await near!.to(far!.id).unary(SAY, text("hi"), { timeout: 60 })).value, "hi");
    assert.equal(near!.wires[0]!.certificate?.subject, "acme:far@1");
    assert.equal(far!.wires[0]!.certificate?.subject, "acme:near@1");
  });
});
