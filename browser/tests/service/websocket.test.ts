// The WebSocket wire to a real peer, found by signaling.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "ws";

import { UnreachableError } from "../../src/errors";
import { utf8 } from "../../src/protocol/bytes";
import { ActrId } from "../../src/protocol/identity/ids";
import { Proofs } from "../../src/protocol/signaling/proofs";
import { webCrypto } from "../../src/wire/crypto";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SocketClass } from "../../src/wire/socket";
import { dialWebSocket } from "../../src/wire/websocket";
import { Service, skip } from "../kit/services";
import { Ear } from "../kit/ear";

const SECRET = "0123456789abcdef";
const PAGE = new ActrId("acme", "page", "1");
const ROOM = new ActrId("demo", "room", "1");
const socket = WebSocket as unknown as SocketClass;

/** As a page of this origin opens one. */
function ofPage(origin: string): SocketClass {
  class PageSocket extends WebSocket {
    constructor(url: string) {
      super(url, { origin });
    }
  }
  return PageSocket as unknown as SocketClass;
}

test("a room is found, dialled with the realm's secret, and greets", { skip, timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-room-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "secret");
  writeFileSync(file, SECRET, { mode: 0o600 });
  const signaling = await Service.signaling({ ACTR_SIGNALING__REALM_SECRET_FILE: file });
  after(() => signaling.stop());
  const room = await Service.room(ROOM.text, signaling.url, folder, { ACTR_REALM__SECRET_FILE: file });
  after(() => room.stop());

  const client = new SignalingClient({
    url: signaling.url,
    socket,
    registration: { id: PAGE, incarnation: 7n },
    proofs: new Proofs(webCrypto, utf8(SECRET)),
    sink: { relayed: () => {} },
  });
  await client.start();
  after(() => client.close());
  const found = await client.lookup(ROOM);
  assert.equal(found?.wsAddress, room.ready["address"]);

  const common = { socket, primitives: webCrypto, local: PAGE, address: found!.wsAddress };
  const wire = await dialWebSocket({ ...common, remote: ROOM, secret: utf8(SECRET) });
  const ear = new Ear();
  wire.attach(ear);
  await ear.until(() => ear.messages.length > 0);
  const [channel, hello] = ear.messages[0]!;
  assert.deepEqual([channel, hello[0], hello[1]], [1, 0x03, 2], "no HELLO of version 2");
  assert.equal(wire.maxMessageBytes, 81920);
  wire.close();

  const other = new ActrId("demo", "room", "2");
  const refusals = [
    { remote: other, secret: utf8(SECRET) },
    { remote: ROOM, secret: utf8("another secret, wrong") },
    { remote: ROOM, secret: undefined },
  ];
  for (const refused of refusals) {
    await assert.rejects(dialWebSocket({ ...common, ...refused }), UnreachableError);
  }
});

test("a room takes pages of the origins that it allows, and no other", { skip, timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-room-"));
  after(() => rmSync(folder, { recursive: true }));
  const signaling = await Service.signaling();
  after(() => signaling.stop());
  const allowed = { ACTR_WIRES__ALLOWED_ORIGINS: "https://page.example" };
  const room = await Service.room(ROOM.text, signaling.url, folder, allowed);
  after(() => room.stop());
  const common = { primitives: webCrypto, local: PAGE, remote: ROOM, address: room.ready["address"] as string };

  const wire = await dialWebSocket({ ...common, socket: ofPage("https://page.example") });
  wire.close();
  for (const origin of ["https://other.example", "http://page.example", "null"]) {
    await assert.rejects(dialWebSocket({ ...common, socket: ofPage(origin) }), UnreachableError);
  }
});
