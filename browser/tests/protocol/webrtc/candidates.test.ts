import assert from "node:assert/strict";
import { test } from "node:test";

import { LimitError, RemoteProtocolError } from "../../../src/errors";
import { admits, CandidateInbox, clean, EarlyCandidates, trim } from "../../../src/protocol/webrtc/candidates";
import type { Candidate } from "../../../src/protocol/webrtc/negotiation";

const GOOD = "1 1 udp 2113937151 192.168.1.2 50000 typ host";

function candidate(text = GOOD): Candidate {
  return { kind: "candidate", candidate: text, sdpMid: "0", sdpMLineIndex: 0 };
}

test("a candidate is one, or it breaks the protocol", () => {
  assert.ok(admits(GOOD));
  assert.ok(admits("1 1 udp 1 0a1b.local 50000 typ host generation 0"));
  assert.ok(!admits("1 2 udp 1 192.168.1.2 50000 typ host"));
  assert.ok(!admits("1 1 tcp 1 192.168.1.2 0 typ host"));
  const long = `1 1 udp 1 192.168.1.2 50000 typ host ${"x".repeat(512)}`;
  for (const text of ["", "x", "1 1 udp x 192.168.1.2 50000 typ host", "1 1 udp 1 a 5 tip host", long]) {
    assert.throws(() => admits(text), RemoteProtocolError);
  }
});

test("a description is held to its bounds", () => {
  const sdp = `v=0\r\nm=application 9\r\na=candidate:${GOOD}\r\na=candidate:1 2 udp 1 a 5 typ host\r\na=mid:0\r\n`;
  assert.equal(clean(sdp), `v=0\r\nm=application 9\r\na=candidate:${GOOD}\r\na=mid:0\r\n`);
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => `a=candidate:${GOOD} ${at}\r\n`).join("");
  const two = `m=a\r\n${many(16)}m=b\r\n${many(16)}`;
  assert.equal(clean(two), two);
  assert.throws(() => clean(`m=a\r\n${many(17)}`), LimitError);
  assert.equal(clean("m=a\r\n".repeat(40)).length, 200);
  assert.throws(() => clean("m=a\r\n".repeat(41)), LimitError);
  assert.throws(() => clean("x".repeat(49_153)), LimitError);
  assert.throws(() => clean("a=candidate:nonsense\r\n"), RemoteProtocolError);
});

test("the own description names no more candidates than a far side takes", () => {
  const line = `a=candidate:${GOOD}\r\n`;
  const [head, middle] = ["v=0\r\nm=a\r\n", "a=mid:0\r\nm=b\r\n"];
  assert.equal(trim(head + line.repeat(20) + middle + line.repeat(17)), head + line.repeat(16) + middle + line.repeat(16));
});

test("what comes before the description waits for it, 32 of them and an end", () => {
  const inbox = new CandidateInbox();
  assert.deepEqual(inbox.receive(candidate()), []);
  assert.deepEqual(inbox.described(), [candidate()]);
  assert.deepEqual(inbox.receive(candidate("1 2 udp 1 a 5 typ host")), []);
  for (let count = 2; count < 32; count++) {
    assert.deepEqual(inbox.receive(candidate()), [candidate()]);
  }
  assert.deepEqual(inbox.receive(candidate("")), [candidate("")]);
  assert.throws(() => inbox.receive(candidate()), LimitError);
});

test("of connections that are not known yet the oldest are dropped", () => {
  const early = new EarlyCandidates(40);
  for (let count = 0; count < 35; count++) {
    early.keep("a", candidate());
  }
  assert.deepEqual([early.size, early.dropped], [33, 2]);
  for (let count = 0; count < 8; count++) {
    early.keep("b", candidate());
  }
  assert.deepEqual([early.size, early.dropped], [8, 35]);
  assert.equal(early.take("a").length, 0);
  assert.equal(early.take("b").length, 8);
  assert.equal(early.size, 0);
});
