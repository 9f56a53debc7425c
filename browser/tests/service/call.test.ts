// Calls and streams to a real peer over real wires, which are cut meanwhile: nothing is lost or doubled.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "ws";

import { CallError, Code } from "../../src/errors";
import { ActrId } from "../../src/protocol/identity/ids";
import { WireKind } from "../../src/protocol/payload";
import { Proofs } from "../../src/protocol/signaling/proofs";
import { Peer } from "../../src/rpc/peer";
import type { Wire } from "../../src/wire/base";
import { webCrypto } from "../../src/wire/crypto";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SocketClass } from "../../src/wire/socket";
import { WebRtcWires } from "../../src/wire/webrtc/wires";
import { dialWebSocket } from "../../src/wire/websocket";
import { ChatClient } from "../../demo/gen/actr/demo/chat_actr";
import { Service, skip } from "../kit/services";
import { peerConnection, skip as noWebRtc } from "../kit/webrtc/native";

const ROOM = new ActrId("demo", "room", "1");
const PIECES = 150;
const PIECE = new Uint8Array(20_000).map((_, at) => (at * 7) % 251);

for (const kind of [WireKind.WEBSOCKET, WireKind.WEBRTC]) {
  const why = skip || (kind === WireKind.WEBRTC && noWebRtc);
  test(`calls and an upload survive cuts: ${kind}`, { skip: why, timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "actr-room-"));
    after(() => rmSync(folder, { recursive: true }));
    const signaling = await Service.signaling();
    after(() => signaling.stop());
    const room = await Service.room(ROOM.text, signaling.url, folder);
    after(() => room.stop());

    const local = new ActrId("acme", "page", "1");
    const socket = WebSocket as unknown as SocketClass;
    let wires: WebRtcWires | undefined;
    const client = new SignalingClient({
      url: signaling.url,
      socket,
      registration: { id: local, incarnation: 7n },
      proofs: new Proofs(webCrypto),
      sink: { relayed: (source, negotiate) => wires?.receive(source, negotiate) },
    });
    await client.start();
    after(() => client.close());
    if (kind === WireKind.WEBRTC) {
      const relay = (to: ActrId, message: Parameters<SignalingClient["relay"]>[1]) => client.relay(to, message);
      const options = { local, connection: peerConnection(), relay, iceServers: () => client.iceServers };
      wires = new WebRtcWires(options, (wire) => peer.link.add(wire));
    }

    const dialled: Wire[] = [];
    const dial = async (): Promise<Wire> => {
      if (wires !== undefined) {
        return wires.dial(ROOM);
      }
      const found = await client.lookup(ROOM);
      const address = found!.wsAddress;
      return dialWebSocket({ socket, primitives: webCrypto, local, remote: ROOM, address });
    };
    const dialer = async () => {
      const wire = await dial();
      dialled.push(wire);
      return wire;
    };
    const peer: Peer = new Peer(ROOM.text, {
      isSmaller: local.isSmallerThan(ROOM),
      dialers: new Map([[kind, dialer]]),
    });
    peer.link.dial();
    after(() => peer.link.close());
    const chat = new ChatClient(peer.client());
    const cut = () => dialled.splice(0).forEach((wire) => wire.close());
    const say = async (text: string) => {
      const reply = await chat.say({ author: "page", text }, { timeout: 30 });
      return Number(reply.number);
    };

    assert.equal(await say("first"), 1);
    await assert.rejects(
      chat.say({ text: "nobody's" }),
      (error) => error instanceof CallError && error.code === Code.INVALID_ARGUMENT,
    );

    const hash = createHash("sha256");
    async function* pieces() {
      const size = BigInt(PIECES * PIECE.length);
      yield { piece: { case: "header" as const, value: { name: "f", sizeBytes: size } } };
      for (let count = 0; count < PIECES; count++) {
        if (count === 40 || count === 90) {
          cut();
        }
        hash.update(PIECE);
        yield { piece: { case: "data" as const, value: PIECE } };
      }
    }
    const uploaded = chat.upload(pieces());
    const numbers = await Promise.all(Array.from({ length: 40 }, (_, at) => say(`line ${at}`)));
    const reply = await uploaded;
    assert.equal(Number(reply.sizeBytes), PIECES * PIECE.length);
    assert.equal(reply.sha256, hash.digest("hex"));
    assert.equal(new Set(numbers).size, 40);
    assert.equal(await say("last"), 42, "a call was lost or ran twice");
  });
}
