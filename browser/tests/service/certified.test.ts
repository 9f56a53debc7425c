// With certificates of a real issuer: registered, believed, and called over WebRTC with signed descriptions.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "ws";

import { utf8 } from "../../src/protocol/bytes";
import type { Certified } from "../../src/protocol/identity/identity";
import { Statements } from "../../src/protocol/identity/descriptions";
import { ActrId } from "../../src/protocol/identity/ids";
import { Verified } from "../../src/protocol/identity/verified";
import { WireKind } from "../../src/protocol/payload";
import { Proofs } from "../../src/protocol/signaling/proofs";
import { Peer } from "../../src/rpc/peer";
import type { Wire } from "../../src/wire/base";
import { OwnIdentity, webCrypto } from "../../src/wire/crypto";
import { IssuerClient } from "../../src/wire/issuer";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SocketClass } from "../../src/wire/socket";
import { SignedRelay } from "../../src/wire/webrtc/signed";
import { WebRtcWires } from "../../src/wire/webrtc/wires";
import { ChatClient } from "../gen/actr/demo/chat_actr";
import { Service, skip } from "../kit/services";
import { peerConnection, skip as noWebRtc } from "../kit/webrtc/native";

const SECRET = "0123456789abcdef";
const ROOM = new ActrId("demo", "room", "1");
const INCARNATION = 7n;

/** Who has a certificate of this issuer, and believes it. */
async function enrolled(issuer: IssuerClient, id: ActrId): Promise<Certified> {
  const identity = await OwnIdentity.make();
  const given = await issuer.enrol(identity, id, { secret: utf8(SECRET) });
  assert.ok("subject" in given, JSON.stringify(given));
  identity.certificate = given.text;
  const again = await issuer.renew(identity);
  assert.ok("subject" in again && again.subject === `${id.actrType}@${id.instance}`);
  const [keys, revoked, verified] = [await issuer.keys(), await issuer.revoked(), new Verified(webCrypto)];
  const now = () => Date.now() / 1000;
  return { identity, now, isRequired: true, verify: (data) => verified.verify(data, keys, revoked, now) };
}

test("a page with a certificate calls a room with one", { skip: skip || noWebRtc, timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-certified-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "secret");
  writeFileSync(file, SECRET, { mode: 0o600 });
  const signaling = await Service.signaling({
    ACTR_SIGNALING__REALM_SECRET_FILE: file,
    ACTR_SIGNALING__ISSUER_HOME: join(folder, "issuer"),
  });
  after(() => signaling.stop());
  const issuerUrl = `http://${new URL(signaling.url).host}/issuer`;
  const secret = { ACTR_REALM__SECRET_FILE: file };
  const room = await Service.room(ROOM.text, signaling.url, folder, { ...secret, ACTR_IDENTITY__ISSUER_URL: issuerUrl });
  after(() => room.stop());

  const issuer = new IssuerClient(issuerUrl, webCrypto);
  const wrong = await issuer.enrol(await OwnIdentity.make(), ROOM, { secret: utf8("another secret") });
  assert.ok("kind" in wrong && wrong.isFinal, "a wrong secret enrols");

  for (const local of [new ActrId("acme", "page", "1"), new ActrId("zebra", "page", "1")]) {
    const certified = await enrolled(issuer, local);
    const refused: string[] = [];
    const client: SignalingClient = new SignalingClient({
      url: signaling.url,
      socket: WebSocket as unknown as SocketClass,
      registration: { id: local, incarnation: INCARNATION, metadata: { is: "a page" } },
      proofs: new Proofs(webCrypto, undefined, certified),
      sink: {
        relayed: (source, message) => signed.receive(source, message),
        refused: (actor, why) => void refused.push(`${actor} ${why}`),
      },
    });
    const { identity, verify, isRequired } = certified;
    const statements = new Statements(local, INCARNATION, { primitives: webCrypto, identity, believe: verify, isRequired });
    const signed: SignedRelay = new SignedRelay({
      statements,
      now: certified.now,
      incarnationOf: async (remote) => (await client.lookup(remote))?.incarnation ?? 0n,
      relay: (to, message) => client.relay(to, message),
      receive: (...all) => wires.receive(...all),
      isLive: (remote, id) => wires.knows(remote, id),
      refused: (source, error) => void refused.push(`${source} ${error.fault}`),
    });
    const iceServers = () => client.iceServers;
    const options = { local, connection: peerConnection(), relay: signed.relay, iceServers, certified };
    const wires: WebRtcWires = new WebRtcWires(options, (wire) => peer.link.add(wire));
    await client.start();

    const dialled: Wire[] = [];
    const dialer = async () => {
      const wire = await wires.dial(ROOM);
      dialled.push(wire);
      return wire;
    };
    const peer: Peer = new Peer(ROOM.text, {
      isSmaller: local.isSmallerThan(ROOM),
      dialers: new Map([[WireKind.WEBRTC, dialer]]),
    });
    peer.link.dial();
    const chat = new ChatClient(peer.client());
    const { number } = await chat.say({ author: "page", text: "hello" }, { timeout: 20 });
    assert.ok(number > 0n);
    assert.equal(dialled[0]?.certificate?.subject, "demo:room@1");
    assert.deepEqual(refused, []);
    await peer.link.close();
    await client.close();
  }
});
