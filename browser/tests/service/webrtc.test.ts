// The WebRTC wire, between two of these and to a real peer, whichever of the two makes the offer.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "ws";

import { BusyError, UnreachableError } from "../../src/errors";
import { utf8 } from "../../src/protocol/bytes";
import { ActrId } from "../../src/protocol/identity/ids";
import { Proofs } from "../../src/protocol/signaling/proofs";
import type { NegotiateMessage } from "../../src/protocol/webrtc/negotiation";
import type { Wire } from "../../src/wire/base";
import { webCrypto } from "../../src/wire/crypto";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SocketClass } from "../../src/wire/socket";
import { WebRtcWires } from "../../src/wire/webrtc/wires";
import { Service, skip as noServices } from "../kit/services";
import { peerConnection, skip } from "../kit/webrtc/native";
import { Ear } from "../kit/ear";

const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");
const timeout = 60_000;

/** Two that reach each other, and whom what arrives is told. */
function pair() {
  const made = new Map<string, WebRtcWires>();
  const arrived = new Map<string, Wire[]>([[ALICE.text, []], [BOB.text, []]]);
  const said: NegotiateMessage[] = [];
  for (const [local, far] of [[ALICE, BOB], [BOB, ALICE]] as const) {
    const relay = async (_: ActrId, message: NegotiateMessage) => {
      said.push(message);
      setImmediate(() => made.get(far.text)!.receive(local, message));
    };
    const options = { local, connection: peerConnection(), relay, iceServers: () => [] };
    made.set(local.text, new WebRtcWires(options, (wire) => void arrived.get(local.text)!.push(wire)));
  }
  after(() => made.forEach((wires) => wires.close()));
  return { alice: made.get(ALICE.text)!, bob: made.get(BOB.text)!, arrived, said };
}

for (const [who, from, to] of [["offerer", ALICE, BOB], ["answerer", BOB, ALICE]] as const) {
  test(`the ${who} dials, messages go both ways, and one leaves`, { skip, timeout }, async () => {
    const { alice, bob, arrived, said } = pair();
    const wire = await (from === ALICE ? alice : bob).dial(to);
    assert.ok(wire.wasDialled && wire.maxMessageBytes === 16_384);
    const ears = [new Ear(), new Ear()] as const;
    wire.attach(ears[0]);
    while (arrived.get(to.text)!.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const [other] = arrived.get(to.text)! as [Wire];
    other.attach(ears[1]);
    for (const channel of [0, 1, 2, 3]) {
      wire.send(channel, utf8(`to ${channel}`));
      other.send(channel, utf8(`fro ${channel}`));
    }
    wire.send(2, new Uint8Array(16_384));
    await ears[0].until(() => ears[0].messages.length === 4);
    await ears[1].until(() => ears[1].messages.length === 5);
    assert.deepEqual(new Set(ears[0].messages.map(([channel, data]) => `${channel} ${Buffer.from(data)}`)), new Set([0, 1, 2, 3].map((each) => `${each} fro ${each}`)));
    assert.deepEqual(said.filter(({ body }) => body.kind === "offer").map(({ exchange }) => exchange), [1]);
    wire.close();
    await ears[0].until(() => ears[0].hasEnded);
    await ears[1].until(() => ears[1].hasEnded);
    assert.deepEqual([ears[0].end, ears[1].end], [{ error: undefined }, { error: undefined }]);
  });
}

test("who does not answer is not reached, and one dial to a remote is enough", { skip, timeout }, async () => {
  const { alice, bob } = pair();
  bob.receive = () => {};
  const dialled = alice.dial(BOB);
  await assert.rejects(alice.dial(BOB), BusyError);
  await assert.rejects(dialled, (error) => error instanceof UnreachableError);
});

test("a real peer is reached by either role", { skip: skip || noServices, timeout }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-room-"));
  after(() => rmSync(folder, { recursive: true }));
  const signaling = await Service.signaling();
  after(() => signaling.stop());
  const ROOM = new ActrId("demo", "room", "1");
  const room = await Service.room(ROOM.text, signaling.url, folder);
  after(() => room.stop());
  for (const local of [new ActrId("acme", "page", "1"), new ActrId("zebra", "page", "1")]) {
    let wires!: WebRtcWires;
    const client = new SignalingClient({
      url: signaling.url,
      socket: WebSocket as unknown as SocketClass,
      registration: { id: local, incarnation: 7n },
      proofs: new Proofs(webCrypto),
      sink: { relayed: (source, negotiate) => wires.receive(source, negotiate) },
    });
    wires = new WebRtcWires(
      {
        local,
        connection: peerConnection(),
        relay: (to, message) => client.relay(to, message),
        iceServers: () => client.iceServers,
      },
      () => {},
    );
    await client.start();
    const wire = await wires.dial(ROOM);
    const ear = new Ear();
    wire.attach(ear);
    await ear.until(() => ear.messages.length > 0);
    const [channel, hello] = ear.messages[0]!;
    assert.deepEqual([channel, hello[0], hello[1]], [1, 0x03, 2], "no HELLO of version 2");
    wire.close();
    await ear.until(() => ear.hasEnded);
    await client.close();
  }
});
