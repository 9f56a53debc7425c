// What a far side may not do: each breach ends the session with an error that says so.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LimitError, RemoteProtocolError } from "../../../src/errors";
import { concat } from "../../../src/protocol/bytes";
import { PayloadType, WireKind } from "../../../src/protocol/payload";
import { Budget } from "../../../src/protocol/session/budget";
import {
  dataHead,
  encodeAck,
  encodeAsk,
  encodeHello,
  encodePing,
  fragmentHead,
  REPLY_FLAG,
} from "../../../src/protocol/session/frames";
import { Session } from "../../../src/protocol/session/session";

const HELLO = { incarnation: 2n, known: 0n, received: [0, 0, 0, 0, 0, 0], maxMessageBytes: 1 << 24 };

/** A session with one greeted wire. */
function greeted(kind = WireKind.WEBSOCKET, budget = new Budget()): Session {
  const session = new Session(1n, { prefer: Object.values(WireKind), budget });
  session.open(1, kind, 0, true);
  session.receive(1, 1, encodeHello(HELLO), 0);
  return session;
}

function data(seq: number, size = 1, flag = 0): Uint8Array {
  return concat([dataHead(seq, size, flag), new Uint8Array(size)]);
}

function fragment(seq: number, index: number, count: number, size = 16_247): Uint8Array {
  return concat([fragmentHead(seq, size, index, count), new Uint8Array(size)]);
}

function ack(lane: number, received: number, acknowledged = received): Uint8Array {
  return encodeAck({ lane, received, acknowledged, creditMessages: 1024, creditBytes: 1 << 22 });
}

const BREACHES: Record<string, [channel: number, data: Uint8Array]> = {
  "word of frames that were never sent": [1, ack(0, 1)],
  "word of lanes' frames in HELLO that were never sent": [
    1,
    encodeHello({ ...HELLO, known: 1n, received: [1, 0, 0, 0, 0, 0] }),
  ],
  "another incarnation on the same wire": [1, encodeHello({ ...HELLO, incarnation: 3n })],
  "a frame beyond the window": [0, data(1024)],
  "a number that no lane reaches": [3, concat([Uint8Array.of(1).fill(1), new Uint8Array(8).fill(255), new Uint8Array(4)])],
  "a reply on a channel without replies": [2, data(0, 1, REPLY_FLAG)],
  "data on a channel that is none": [4, data(0)],
  "a fragment that is not the next": [2, concat([fragment(0, 0, 3, 100), fragment(1, 2, 3, 100)])],
  "a message of more fragments than a message has": [2, fragment(0, 1, 3, 100)],
  "33 ACKs in one wire message": [1, concat(Array<Uint8Array>(33).fill(ack(0, 0)))],
  "an empty wire message": [1, new Uint8Array(0)],
};

for (const [why, [channel, message]] of Object.entries(BREACHES)) {
  test(`a breach is an error: ${why}`, () => {
    assert.throws(() => greeted().receive(1, channel, message, 0), RemoteProtocolError);
  });
}

test("a wire message has a longest one, by its wire", () => {
  const long = data(0, 16_384);
  assert.throws(() => greeted(WireKind.WEBRTC).receive(1, 2, long, 0), /a wire message of 16397 bytes/);
  assert.equal(greeted().receive(1, 2, long, 0).length, 1);
  assert.throws(() => greeted().receive(1, 2, data(0, 81_920), 0), RemoteProtocolError);
});

test("512 words in a second are a flood, and one second later are none", () => {
  const session = greeted();
  for (let word = 1; word < 512; word++) {
    session.receive(1, 3, encodePing(word), 0.5);
  }
  assert.throws(() => session.receive(1, 3, encodePing(0), 0.9), /over 512 words/);
  assert.doesNotThrow(() => session.receive(1, 3, encodePing(0), 1.1));
});

test("many ASKs have one answer", () => {
  const session = greeted();
  while (session.take(1, 0, false) !== null) {}
  session.receive(1, 1, concat([encodeAsk(0), encodeAsk(0), encodeAsk(0)]), 0);
  assert.equal(session.take(1, 0, false)?.data.length, 24);
  assert.equal(session.take(1, 0, false), null);
});

test("a message that is longer than this side takes is refused while it comes", () => {
  const session = new Session(1n, { prefer: [WireKind.WEBSOCKET], maxMessageBytes: 20_000 });
  session.open(1, WireKind.WEBSOCKET, 0, true);
  session.receive(1, 1, encodeHello(HELLO), 0);
  session.receive(1, 2, fragment(0, 0, 9), 0);
  assert.throws(() => session.receive(1, 2, fragment(1, 1, 9), 0), LimitError);
});

test("what is not stored is bounded, in messages", () => {
  const session = greeted();
  assert.throws(() => {
    for (let seq = 0; seq < 2049; seq++) {
      session.receive(1, 0, data(seq), 0);
    }
  }, /messages not yet stored/);
});

test("a process holds so much for all remotes, and the oldest unfinished message goes", () => {
  const budget = new Budget(40_000);
  const dropped: string[] = [];
  const sessions = ["first", "second"].map((name) => {
    const session = greeted(WireKind.WEBSOCKET, budget);
    session.account.onDrop = () => dropped.push(name);
    return session;
  });
  sessions.forEach((session, at) => session.receive(1, 2, fragment(0, 0, 3), at));
  sessions[1]!.receive(1, 2, fragment(1, 1, 3), 2);
  budget.keep();
  assert.deepEqual(dropped, ["first"]);
});

test("a late acknowledgement of an old process's message touches no new one", () => {
  const session = greeted();
  const [old] = session.receive(1, 0, data(0), 0);
  session.open(2, WireKind.WEBSOCKET, 1, true);
  session.receive(2, 1, encodeHello({ ...HELLO, incarnation: 3n }), 1);
  const [fresh] = session.receive(2, 0, data(0), 1);
  session.lanes.acknowledge(PayloadType.RPC_RELIABLE, old!.number, 1);
  assert.equal(session.lanes.receivers[0]!.acknowledged, 0);
  session.lanes.acknowledge(PayloadType.RPC_RELIABLE, fresh!.number, 1);
  assert.equal(session.lanes.receivers[0]!.acknowledged, 1);
});

test("what comes before the greeting waits within bounds, and is heard after it", () => {
  const session = new Session(1n, { prefer: [WireKind.WEBSOCKET] });
  session.open(1, WireKind.WEBSOCKET, 0, true);
  for (let seq = 0; seq < 70; seq++) {
    assert.deepEqual(session.receive(1, 2, data(seq), 0), []);
  }
  session.receive(1, 1, encodeHello(HELLO), 0);
  assert.equal(session.lanes.receivers[2]!.expected, 64);
  assert.equal(session.lanes.heldBytes, 0);
});

test("a wire of an incarnation that has been replaced is refused", () => {
  const session = greeted();
  for (const [wire, incarnation] of [[2, 3n], [3, 2n]] as const) {
    session.open(wire, WireKind.WEBSOCKET, 1, true);
    session.receive(wire, 1, encodeHello({ ...HELLO, incarnation }), 1);
  }
  assert.deepEqual([...session.ends.keys()], [2]);
});
