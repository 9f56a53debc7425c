// WebRTC wires over peer connections that are no browser's: who dials, what crosses, gets lost, or breaks rules.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { BrokenError, BusyError, LimitError, RemoteProtocolError, UnreachableError } from "../../src/errors";
import { utf8 } from "../../src/protocol/bytes";
import { ActrId } from "../../src/protocol/identity/ids";
import type { NegotiateMessage } from "../../src/protocol/webrtc/negotiation";
import type { Wire } from "../../src/wire/base";
import { Peer, type PeerConnectionClass } from "../../src/wire/webrtc/peer";
import type { WebRtcWire } from "../../src/wire/webrtc/wire";
import { WebRtcWires } from "../../src/wire/webrtc/wires";
import { Ear } from "../kit/ear";
import { CANDIDATE, FakePeer, fakePeers } from "../kit/webrtc/peers";

const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");
const timeout = 20_000;

/** One of two that reach each other, and what has arrived there. */
class End {
  readonly arrived: WebRtcWire[] = [];
  readonly said: NegotiateMessage[] = [];
  /** Whether a message gets lost on its way from here. */
  isLost = (_: NegotiateMessage): boolean => false;
  other!: End;
  readonly wires: WebRtcWires;
  #wake = () => {};

  constructor(readonly id: ActrId) {
    const relay = async (_: ActrId, message: NegotiateMessage) => {
      this.said.push(message);
      if (!this.isLost(message)) {
        setTimeout(() => this.other.wires.receive(id, message));
      }
    };
    const options = { local: id, connection: fakePeers, relay, iceServers: () => [] };
    this.wires = new WebRtcWires(options, (wire: Wire) => {
      this.arrived.push(wire as WebRtcWire);
      this.#wake();
    });
    after(() => this.wires.close());
  }

  async arrival(): Promise<WebRtcWire> {
    while (this.arrived.length === 0) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.arrived[0]!;
  }

  offers(): number[] {
    return this.said.filter(({ body }) => body.kind === "offer").map(({ exchange }) => exchange);
  }
}

function pair(): [End, End] {
  const [alice, bob] = [new End(ALICE), new End(BOB)];
  alice.other = bob;
  bob.other = alice;
  return [alice, bob];
}

async function open(): Promise<[WebRtcWire, WebRtcWire, Ear, Ear]> {
  const [alice, bob] = pair();
  const near = await alice.wires.dial(BOB);
  const far = await bob.arrival();
  const ears = [new Ear(), new Ear()] as const;
  near.attach(ears[0]);
  far.attach(ears[1]);
  return [near, far, ...ears];
}

for (const [who, from] of [["offerer", 0], ["answerer", 1]] as const) {
  test(`the ${who} dials; messages go both ways, and one leaves`, { timeout }, async () => {
    const ends = pair();
    const [here, there] = [ends[from], ends[1 - from]!];
    const near = await here.wires.dial(there.id);
    const far = await there.arrival();
    assert.deepEqual([near.wasDialled, far.wasDialled], [true, false]);
    const [ear, farEar] = [new Ear(), new Ear()];
    near.send(2, utf8("early"));
    far.attach(farEar);
    near.attach(ear);
    far.send(1, utf8("back"));
    await ear.until(() => ear.messages.length === 1);
    await farEar.until(() => farEar.messages.length === 1);
    assert.deepEqual([...ear.messages, ...farEar.messages], [[1, utf8("back")], [2, utf8("early")]]);
    assert.deepEqual(ends[0].offers(), [1]);
    assert.throws(() => near.send(0, new Uint8Array(16_385)), LimitError);
    near.close();
    await ear.until(() => ear.hasEnded);
    await farEar.until(() => farEar.hasEnded);
    assert.deepEqual([ear.end, farEar.end], [{ error: undefined }, { error: undefined }]);
    assert.throws(() => near.send(0, utf8("late")), BrokenError);
  });
}

test("each is told how the other is reached", { timeout }, async () => {
  const [near, far] = await open();
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const wire of [near, far]) {
    const { tried } = wire.connection as unknown as FakePeer;
    const candidate = { candidate: `candidate:${CANDIDATE}`, sdpMid: "0", sdpMLineIndex: 0 };
    assert.deepEqual(tried, [candidate, { candidate: "", sdpMid: "", sdpMLineIndex: 0 }]);
  }
});

test("two that dial at once have one connection", { timeout }, async () => {
  const [alice, bob] = pair();
  const wires = await Promise.all([alice.wires.dial(BOB), bob.wires.dial(ALICE)]);
  assert.equal(wires[0].connectionId, wires[1].connectionId);
  assert.deepEqual(alice.offers().length, 2, "the offer was not said again");
  assert.deepEqual([alice.arrived.length, bob.arrived.length], [0, 0]);
});

test("an offer that was lost is said again when the other asks", { timeout }, async () => {
  const [alice, bob] = pair();
  alice.isLost = ({ body }) => body.kind === "offer" && alice.offers().length === 1;
  const dialled = alice.wires.dial(BOB);
  await assert.rejects(alice.wires.dial(BOB), BusyError);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const wires = await Promise.all([dialled, bob.wires.dial(ALICE)]);
  assert.equal(wires[0].connectionId, wires[1].connectionId);
});

test("a channel that closes alone is opened again by both", { timeout }, async () => {
  const [near, far, ear] = await open();
  (near.connection as unknown as FakePeer).channels.get(2)!.close();
  await new Promise((resolve) => setTimeout(resolve, 300));
  far.send(2, utf8("again"));
  await ear.until(() => ear.messages.length === 1);
  assert.ok(!ear.hasEnded);
});

test("a text where none is due ends the connection", { timeout }, async () => {
  for (const channel of [1, 2]) {
    const [near, far, ear, farEar] = await open();
    (near.connection as unknown as FakePeer).channels.get(channel)!.send("text");
    await farEar.until(() => farEar.hasEnded);
    assert.ok(farEar.end?.error instanceof RemoteProtocolError);
    await ear.until(() => ear.hasEnded);
    assert.match(String(ear.end?.error), /gave it up|left/);
    far.close();
  }
});

test("a message that is too long, and a path that is gone, end it", { timeout }, async () => {
  const [near, , , farEar] = await open();
  (near.connection as unknown as FakePeer).channels.get(0)!.send(new Uint8Array(262_145));
  await farEar.until(() => farEar.hasEnded);
  assert.ok(farEar.end?.error instanceof LimitError);
  const [other, , ear] = await open();
  (other.connection as unknown as FakePeer).fail();
  await ear.until(() => ear.hasEnded);
  assert.ok(ear.end?.error instanceof BrokenError);
});

test("a far side that gives up, or describes nonsense, is not reached", { timeout }, async () => {
  const [alice, bob] = pair();
  bob.wires.receive = (source, { connectionId, body }) => {
    if (body.kind === "offer") {
      const bye = { kind: "bye", reason: "too busy" } as const;
      alice.wires.receive(BOB, { connectionId, exchange: 0, body: bye });
    }
    assert.equal(source, ALICE);
  };
  await assert.rejects(alice.wires.dial(BOB), /gave it up: too busy/);
  for (const sdp of ["nonsense", `m=a\r\n${"a=candidate:x\r\n"}`, "m=a\r\n".repeat(41)]) {
    bob.wires.receive = (_, { connectionId, exchange, body }) => {
      if (body.kind === "offer") {
        const answer = { kind: "answer", sdp, trackIds: {} } as const;
        alice.wires.receive(BOB, { connectionId, exchange, body: answer });
      }
    };
    await assert.rejects(alice.wires.dial(BOB), UnreachableError);
    assert.equal(alice.said.at(-1)?.body.kind, "bye", "the far side is not told");
  }
});

test("nobody makes more connections than a few, and messages of none are dropped", { timeout }, async () => {
  const [, bob] = pair();
  const offer = { kind: "offer", sdp: "m=a\r\n", trackIds: {} } as const;
  for (let count = 0; count < 20; count++) {
    bob.wires.receive(ALICE, { connectionId: `c${count}`, exchange: 1, body: offer });
  }
  assert.equal(bob.wires.dropped, 4);
  const known = Array.from({ length: 20 }, (_, count) => bob.wires.knows(ALICE, `c${count}`));
  assert.equal(known.filter(Boolean).length, 4);
  const odd: NegotiateMessage[] = [
    { connectionId: "x".repeat(65), exchange: 1, body: offer },
    { connectionId: "", exchange: 1, body: offer },
    { connectionId: "unknown", exchange: 1, body: { kind: "bye", reason: "" } },
    { connectionId: "", exchange: 0, body: { kind: "requestOffer", cause: 0, tracks: {} } },
  ];
  odd.forEach((message) => bob.wires.receive(ALICE, message));
  assert.equal(bob.wires.dropped, 8);
});

test("a section that sends a track of this side is no room for one of the far side", () => {
  const sections: { direction: string; receiver: { track: { kind: string } } }[] = [];
  class Media extends FakePeer {
    override getTransceivers = () => sections;
    addTransceiver(kind: string, { direction }: { direction: string }): void {
      sections.push({ direction, receiver: { track: { kind } } });
    }
  }
  const sink = { candidate() {}, opened() {}, message() {}, text() {}, writable() {}, lost() {} };
  const peer = new Peer(Media as unknown as PeerConnectionClass, [], "all", sink);
  sections.push({ direction: "sendrecv", receiver: { track: { kind: "video" } } });
  peer.expect({ theirs: "video" });
  assert.deepEqual(sections.map(({ direction }) => direction), ["sendrecv", "recvonly"]);
  peer.expect({ theirs: "video", sound: "audio" });
  assert.deepEqual(sections.map(({ receiver }) => receiver.track.kind), ["video", "video", "audio"]);
  assert.throws(() => peer.expect({ odd: "text" }), RemoteProtocolError);
});
