// What the console makes of what it is told: events, lives of wires, the list, the matrix, words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { RemoteProtocolError } from "actr";

import { ActorViewSchema } from "../../console/gen/actr/services/inspection_pb";
import { type EventKind, EventLog, KINDS, MAX_EVENTS } from "../../console/model/events";
import { compareIds, listed, windowOf } from "../../console/model/listing";
import { Lives, MAX_ENDS, MAX_MOMENTS } from "../../console/model/lives";
import { linksIn, matrixOf, MAX_AXIS, standing } from "../../console/model/matrix";
import { isConsole, rateOf, Realm } from "../../console/model/realm";
import { countMessages } from "../../console/model/weight";
import { bytes, count, duration, rate, roundTrip, short } from "../../console/model/words";
import { MAX_VIEW_BYTES, Pace, PACE_MS } from "../../console/session/pace";
import { ActrId } from "../../src/protocol/identity/ids";
import type { Presence, PresenceEvent } from "../../src/protocol/signaling/presence";

const [A, B, C] = ["acme:a@1:default", "acme:b@1:default", "acme:c@1:default"];
const ALL = { kinds: new Set(KINDS), text: "" };

function presence(id: string, more: Partial<Presence> = {}): Presence {
  const load = { mailboxBacklog: 0, powerReserve: 1 };
  return { id: ActrId.parse(id), incarnation: 1n, wsAddress: "", services: [], metadata: {}, load, epoch: 1n, ...more };
}

function told(change: PresenceEvent["change"], what: Presence, reason: PresenceEvent["reason"] = "none"): PresenceEvent {
  return { kind: "presence", change, presence: what, version: 1n, reason };
}

const view = (more: Parameters<typeof create<typeof ActorViewSchema>>[1] = {}) =>
  create(ActorViewSchema, { incarnation: "1", signaling: "registered", ...more });

const change = (atMs: number, state: string, remote = B, kind = "webrtc") => ({ atMs: BigInt(atMs), remote, kind, state });

test("a log keeps the order of times, a bound, and one event where both ends tell", () => {
  const log = new EventLog();
  const wire = { kind: "down" as EventKind, wire: "webrtc" };
  assert.ok(log.add({ ...wire, at: 2000, actor: A, remote: B, text: "went down" }));
  assert.ok(!log.add({ ...wire, at: 2300, actor: B, remote: A, text: "went down" }));
  assert.ok(!log.add({ ...wire, at: 1800, actor: B, remote: A, text: "went down" }));
  assert.deepEqual(log.filtered(ALL, 9).map(({ actor }) => actor), [A]);
  assert.ok(log.add({ ...wire, at: 9000, actor: B, remote: A, text: "broke" }), "another one, later");
  assert.ok(log.add({ ...wire, at: 9001, actor: A, remote: C, text: "broke" }), "another link");
  assert.ok(log.add({ kind: "join", at: 1000, actor: C, text: "is online" }));
  assert.deepEqual(log.filtered(ALL, 9).map(({ at }) => at), [9001, 9000, 2000, 1000]);
  assert.equal(log.filtered({ kinds: new Set<EventKind>(["join"]), text: "acme:c" }, 9).length, 1);
  assert.equal(log.filtered({ kinds: new Set<EventKind>(["join"]), text: "acme:a" }, 9).length, 0);
  log.add({ kind: "error", at: 9002, actor: A, text: "x".repeat(10_000) });
  assert.ok(log.filtered(ALL, 1)[0]!.text.length < 500);
  for (let at = 0; at < MAX_EVENTS; at++) {
    log.add({ kind: "join", at: 10_000 + at, actor: C, text: "" });
  }
  assert.equal(log.size, MAX_EVENTS);
  log.add({ kind: "leave", at: 1, actor: B, text: "the newest to come" });
  assert.equal(log.filtered({ kinds: new Set<EventKind>(["leave"]), text: "" }, 1).length, 1);
  assert.ok(log.total > MAX_EVENTS);
});

test("the life of a wire is told by the end that is left, and is bounded", () => {
  const lives = new Lives();
  // It dials again at once, and so says idle.
  for (const [at, state] of [[100, "connecting"], [200, "ready"], [5000, "idle"], [6000, "ready"]] as const) {
    lives.note(A, B, "webrtc", at, state);
  }
  assert.equal(lives.note(B, A, "webrtc", 150, "ready"), "unknown");
  assert.equal(lives.note(B, A, "webrtc", 5000, "idle"), "ready");
  assert.equal(lives.note(A, B, "webrtc", 6100, "<b>"), undefined);
  assert.deepEqual(lives.spans(B, A, "webrtc", 0, 7000), [
    { state: "connecting", from: 100, to: 200 },
    { state: "ready", from: 200, to: 5000 },
    { state: "failed", from: 5000, to: 6000 },
    { state: "ready", from: 6000, to: 7000 },
  ]);
  assert.deepEqual(lives.spans(A, B, "webrtc", 5500, 5600), [{ state: "failed", from: 5500, to: 5600 }]);
  assert.deepEqual([lives.cuts(A, B, 0), lives.cuts(B, A, 0), lives.cuts(A, B, 5001), lives.cuts(A, C, 0)], [1, 1, 0, 0]);
  lives.note(B, A, "webrtc", 19_000, "ready");
  lives.note(B, A, "webrtc", 20_000, "idle"); // A tells nothing any more; nobody dials again
  assert.equal(lives.moments(A, B, "webrtc").at(-1)!.state, "idle");
  assert.equal(lives.cuts(A, B, 15_000), 0);
  for (let at = 0; at < MAX_MOMENTS * 2; at++) {
    lives.note(A, C, "webrtc", at, at % 2 ? "ready" : "failed");
  }
  assert.equal(lives.moments(A, C, "webrtc").length, MAX_MOMENTS);
  for (let at = 0; at < MAX_ENDS * 2; at++) {
    lives.note(C, `x:x@${at}:x`, "webrtc", 1, "ready");
  }
  assert.deepEqual(lives.kinds(C, "x:x@0:x"), [], "the oldest are forgotten");
  assert.deepEqual(lives.kinds(A, B), ["webrtc"], "of who tells too much alone");
  assert.equal(lives.note(A, B, "smoke", 1, "ready"), undefined);
});

test("a realm says who came and left, and once what an actor tells twice", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  assert.equal(realm.events.size, 0);
  assert.ok(realm.presence(told("join", presence(B)), 1));
  assert.ok(!realm.presence(told("update", presence(B)), 2));
  assert.ok(realm.presence(told("update", presence(B, { incarnation: 2n })), 3), "another process");
  realm.presence(told("leave", presence(B), "expired"), 4);
  realm.presence(told("leave", presence(C), "closed"), 5); // nobody knew it
  assert.deepEqual(realm.events.filtered(ALL, 9).map(({ kind, text }) => `${kind} ${text}`), [
    "leave was lost: no sign of life",
    "join is online",
  ]);
  // Its clock is ten seconds behind the page's.
  const first = view({ nowMs: 90_000n, changeCount: 2n, changes: [change(80_000, "ready"), change(81_000, "failed")] });
  realm.view(A, first, 100_000);
  realm.looking(A, "away", "gone");
  assert.equal(realm.rows.get(A)!.view, undefined);
  realm.view(A, view({ ...first, changeCount: 3n, changes: [...first.changes, change(82_000, "ready")] as never }), 100_000);
  assert.deepEqual(realm.events.filtered({ kinds: new Set<EventKind>(["up", "down"]), text: "" }, 9).map(({ at, kind }) => [at, kind]), [
    [92_000, "up"],
    [91_000, "down"],
    [90_000, "up"],
  ]);
  realm.view("acme:nobody@1:default", first, 1); // who has left meanwhile
});

test("counts that rise are errors, those that are there at first are not", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  const at = (ms: number, more: object) => realm.view(A, view({ nowMs: BigInt(ms), ...more }), ms);
  at(1000, { refused: { "<b>": 5n }, mailbox: { dead: 1 } });
  assert.equal(realm.events.size, 0);
  at(2000, { refused: { "<b>": 7n }, failures: { handler: 1n }, mailbox: { dead: 2, trouble: "full" } });
  at(3000, { refused: { "<b>": 7n }, failures: { handler: 1n }, mailbox: { dead: 2, trouble: "full" } });
  assert.deepEqual(realm.events.filtered(ALL, 9).map(({ text }) => text).sort(), [
    "1 more dead letter",
    "failed: handler",
    "mailbox: full",
    "refused: <b> (2 times)",
  ]);
  at(4000, { incarnation: "2", refused: { "<b>": 9n } });
  assert.equal(realm.events.size, 4, "another process counts from its own start");
});

test("rates are of one process, of one link, and go stale", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  const lanes = (sent: bigint, received: bigint) => [{ remote: B, lanes: [{ lane: "RPC_RELIABLE", sent, received }] }];
  realm.view(A, view({ nowMs: 1000n, links: lanes(10n, 0n) }), 1000);
  realm.view(A, view({ nowMs: 3000n, links: lanes(30n, 4n) }), 3000);
  const row = realm.rows.get(A)!;
  assert.deepEqual(rateOf(row, B, "RPC_RELIABLE", 3000), { sent: 10, received: 2 });
  assert.deepEqual(rateOf(row, B, "RPC_RELIABLE", 6000), { sent: 0, received: 0 });
  realm.view(A, view({ nowMs: 4000n, links: lanes(5n, 0n) }), 4000);
  assert.deepEqual(rateOf(row, B, "RPC_RELIABLE", 4000), { sent: 0, received: 0 }, "made anew");
});

test("the list is filtered, ordered, and a screen of it is in the page", () => {
  const realm = new Realm();
  const busy = { load: { mailboxBacklog: 9, powerReserve: 0.1 } };
  const ids = ["acme:r@10:default", "acme:r@2:default", "acme:q@1:default"];
  realm.fill(ids.map((id, at) => presence(id, at === 0 ? { ...busy, services: [["demo.Chat", ""]] } : { metadata: { zone: "north" } })), 0);
  const names = (text: string, order: "id" | "load") => listed(realm.rows.values(), text, order).map(({ id }) => short(id));
  assert.deepEqual(names("", "id"), ["acme:q@1", "acme:r@2", "acme:r@10"]);
  assert.deepEqual(names("", "load"), ["acme:r@10", "acme:q@1", "acme:r@2"]);
  assert.deepEqual(names(" NORTH", "id"), ["acme:q@1", "acme:r@2"]);
  assert.deepEqual(names("demo.chat", "id"), ["acme:r@10"]);
  assert.ok(compareIds("room@2", "room@10") < 0);
  assert.deepEqual(windowOf(0, 440, 44, 500, 6), [0, 16]);
  assert.deepEqual(windowOf(4400, 440, 44, 500, 6), [94, 116]);
  assert.deepEqual(windowOf(99_999, 440, 44, 3, 6), [3, 3]);
});

test("a matrix has each link once, as the one tells it that it belongs to, and leaves consoles out", () => {
  const realm = new Realm();
  realm.fill([presence(A), presence(B)], 0);
  const wire = (state: string, isActive: boolean) => ({ kind: "webrtc", state, isActive });
  realm.view(A, view({ links: [{ remote: B, wires: [wire("ready", true)] }, { remote: "actr:console@1:default" }] }), 1);
  realm.view(B, view({ links: [{ remote: A, wires: [wire("suspect", true)] }, { remote: C, wires: [wire("failed", false)] }] }), 1);
  const matrix = matrixOf(realm.rows.values(), realm.lives, "", 0);
  assert.deepEqual(matrix.axis, [A, B, C]);
  const at = (one: string, other: string) => standing(matrix.cells.get(`${one} ${other}`)!);
  assert.deepEqual([at(A, B), at(B, A), at(B, C), at(C, B)], ["up", "suspect", "down", "down"]);
  assert.deepEqual(linksIn(matrix).map(({ one, other }) => [one, other]), [[A, B], [B, C]]);
  assert.deepEqual(matrixOf(realm.rows.values(), realm.lives, "c@1", 0).axis, [B, C]);
  assert.ok(isConsole("actr:console@1:default") && !isConsole(A));
  realm.view(A, view({ links: Array.from({ length: 40 }, (_, n) => ({ remote: `acme:x@${n}:default` })) }), 2);
  const large = matrixOf(realm.rows.values(), realm.lives, "", 0);
  assert.deepEqual([large.axis.length, large.left], [MAX_AXIS, 43 - MAX_AXIS]);
});

test("numbers are short words", () => {
  assert.deepEqual([0, 59.9, 61, 3600, 7500, 90_000].map(duration), ["0 s", "59 s", "1 min", "1 h", "2 h 5 min", "1 d 1 h"]);
  assert.deepEqual([0, 420, 12_345, 1_200_000].map(roundTrip), ["", "0.4 ms", "12 ms", "1.2 s"]);
  assert.deepEqual([0, 999, 2048, 5_000_000, 5e9].map(bytes), ["0 B", "999 B", "2.0 KB", "4.8 MB", "4.7 GB"]);
  assert.deepEqual([0, 0.25, 3.33, 1234.5].map(rate), ["0", "0.3", "3.3", "1\u202f235"]);
  assert.equal(count(1234567n), "1\u202f234\u202f567");
});

test("no time to come is told, and the wires of a process that is no more are not up", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  realm.view(A, view({ nowMs: 1000n, changeCount: 1n, changes: [change(900_000, "ready")], links: linkTo(B) }), 1000);
  assert.equal(realm.events.filtered(ALL, 1)[0]!.at, 1000);
  realm.presence(told("update", presence(A, { incarnation: 2n })), 2000);
  assert.deepEqual(realm.lives.moments(A, B, "webrtc").at(-1), { at: 2000, state: "failed", isCut: true });
  realm.view(A, view({ incarnation: "2", nowMs: 3000n, changeCount: 1n, changes: [change(3000, "ready")], links: linkTo(B) }), 3000);
  realm.presence(told("leave", presence(A), "replaced"), 4000);
  assert.deepEqual(realm.lives.moments(A, B, "webrtc").at(-1), { at: 4000, state: "failed", isCut: true });
});

/** Two that both tell of the wire between them, which came up at one second. */
function pair(): Realm {
  const realm = new Realm();
  realm.fill([presence(A), presence(B)], 0);
  for (const [one, other] of [[A, B], [B, A]] as const) {
    realm.view(one, view({ nowMs: 1000n, changeCount: 1n, changes: [change(1000, "ready", other)], links: linkTo(other) }), 1000);
  }
  return realm;
}

const linkTo = (remote: string, state = "ready") => [{ remote, wires: [{ kind: "webrtc", state, isActive: true }] }];

for (const reason of ["expired", "drained", "kicked", "none"] as const) {
  test(`one that signaling alone may have lost has broken no wire: ${reason}`, () => {
    const realm = pair();
    realm.presence(told("leave", presence(A), reason), 10_000);
    realm.view(B, view({ nowMs: 19_000n, changeCount: 1n, links: linkTo(A) }), 19_000);
    assert.deepEqual(realm.lives.spans(A, B, "webrtc", 0, 20_000), [{ state: "ready", from: 1000, to: 20_000 }]);
    realm.presence(told("join", presence(A)), 20_000);
    realm.view(A, view({ nowMs: 21_000n, changeCount: 1n, links: linkTo(B) }), 21_000);
    assert.equal(realm.lives.cuts(A, B, 0), 0);
  });
}

test("a link that is told no more is no more, where all are told", () => {
  const realm = pair();
  realm.looking(A, "away", "");
  realm.view(B, view({ nowMs: 5000n, changeCount: 1n, linkCount: 2, links: linkTo(C) }), 5000);
  assert.equal(realm.lives.moments(A, B, "webrtc").at(-1)!.state, "ready", "it may be among those that are not told");
  realm.presence(told("leave", presence(A), "expired"), 2000);
  realm.view(B, view({ nowMs: 9000n, changeCount: 1n, linkCount: 1, links: linkTo(C) }), 9000);
  assert.deepEqual(realm.lives.spans(A, B, "webrtc", 0, 20_000), [
    { state: "ready", from: 1000, to: 9000 },
    { state: "idle", from: 9000, to: 20_000 },
  ]);
  assert.equal(realm.lives.cuts(A, B, 0), 0);
  realm.view(B, view({ nowMs: 10_000n, changeCount: 1n, linkCount: 2, links: [...linkTo(C), ...linkTo(A)] }), 10_000);
  assert.equal(realm.lives.moments(A, B, "webrtc").at(-1)!.state, "ready", "and again where it is told");
});

test("one that stops in good order has let its wires go, and broken none", () => {
  const realm = pair();
  realm.view(B, view({ nowMs: 5000n, changeCount: 2n, changes: [change(5000, "idle", A)], links: linkTo(A, "idle") }), 5000);
  realm.presence(told("leave", presence(A), "closed"), 5050);
  assert.equal(realm.lives.cuts(A, B, 0), 0);
  assert.deepEqual([realm.lives.moments(A, B, "webrtc").at(-1)!.state, realm.lives.moments(A, B, "webrtc").length], ["idle", 2]);
});

test("a cause may have any name, and a link that was not told has no rate", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  const lanes = [{ lane: "RPC_RELIABLE", sent: 5000n }];
  realm.view(A, view({ nowMs: 1000n, linkCount: 2, links: [{ remote: C }] }), 1000);
  realm.view(A, view({ nowMs: 2000n, linkCount: 2, links: [{ remote: B, lanes }], refused: { constructor: 1n } as never }), 2000);
  assert.equal(realm.events.filtered(ALL, 1)[0]!.text, "refused: constructor");
  assert.deepEqual(rateOf(realm.rows.get(A)!, B, "RPC_RELIABLE", 2000), { sent: 0, received: 0 });
});

test("of a view is taken what an honest actor can tell", () => {
  const realm = new Realm();
  realm.fill([presence(A)], 0);
  const wires = Array.from({ length: 9 }, (_, at) => ({ kind: at === 0 ? "smoke" : "webrtc" }));
  const links = Array.from({ length: 600 }, () => ({ remote: "x".repeat(999), wires, lanes: Array.from({ length: 9 }, () => ({})) }));
  const refused = Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`${at} ${"x".repeat(300)}`, 1n]));
  const many = { length: 300 };
  const changes = Array.from(many, (_, at) => change(at, "idle"));
  const halves = Array.from(many, () => ({}));
  realm.view(A, view({ links, refused, failures: refused, changes, tracks: halves, streams: { halves, counts: refused }, mailbox: { counts: refused } }), 1);
  const { view: taken } = realm.rows.get(A)!;
  assert.deepEqual([taken!.links.length, taken!.links[0]!.lanes.length, taken!.links[0]!.wires.length], [512, 6, 1]);
  assert.deepEqual([taken!.changes.length, taken!.changes[255]!.atMs, taken!.tracks.length, taken!.streams!.halves.length], [256, 299n, 256, 256]);
  assert.equal(taken!.links[0]!.remote.length, 256);
  for (const map of [taken!.refused, taken!.failures, taken!.streams!.counts, taken!.mailbox!.counts]) {
    assert.equal(Object.keys(map).length, 64);
    assert.ok(Object.keys(map).every((key) => key.length <= 256));
  }
});

test("of many views the newest is taken, with the changes of those between", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const taken: number[][] = [];
  const wrong: unknown[] = [];
  const pace = new Pace(
    ({ changes }) => taken.push(changes.map(({ atMs }) => Number(atMs))),
    (error) => wrong.push(error),
  );
  const give = (at: number, more = {}) => pace.give(toBinary(ActorViewSchema, view({ changes: [change(at, "idle")], ...more })));
  [1, 2, 3].forEach((at) => give(at));
  assert.deepEqual(taken, [[1]]);
  t.mock.timers.tick(PACE_MS);
  give(4);
  assert.deepEqual(taken, [[1], [2, 3]]);
  pace.end();
  assert.deepEqual(taken.splice(0), [[1], [2, 3], [4]]);
  give(5);
  [6, 7, 8].forEach((at) => give(at, { version: "x".repeat(MAX_VIEW_BYTES / 2 - 100) })); // no more wait than one may be
  give(9, { incarnation: "2" });
  pace.end();
  assert.deepEqual(taken, [[5], [9]], "another process");
  give(10);
  [11, 12, 13].forEach((at) => give(at, { version: "x".repeat(MAX_VIEW_BYTES / 2 - 100) }));
  t.mock.timers.tick(PACE_MS);
  assert.deepEqual(taken.at(-1), [12, 13]);
  pace.give(Uint8Array.of(0x20, ...new Array(10).fill(0x80), 1)); // a number of more bytes than there are
  assert.deepEqual(wrong, []);
  t.mock.timers.tick(PACE_MS);
  assert.equal(wrong.length, 1, "told, and not thrown where nobody waits");
});

test("messages are counted as they will be decoded", () => {
  const count = (data: Uint8Array, most = 1000) => countMessages(ActorViewSchema, data, most);
  const told = view({ links: [{ remote: B, wires: [{ kind: "webrtc" }], lanes: [{}, {}] }], streams: { counts: { a: 1n }, halves: [{}] }, refused: { b: 2n } });
  assert.equal(count(toBinary(ActorViewSchema, told)), 1 + 1 + 1 + 2 + 1 + 1 + 1 + 1);
  assert.equal(count(new Uint8Array(200).fill(0x4a).map((byte, at) => (at % 2 ? 0 : byte)), 10), 11, "no further than is asked");
  assert.equal(count(Uint8Array.of(0xa0, 6, 1)), 1, "of a field that is not known");
  for (const [what, ...data] of [
    ["a link that is a number", 0x48, 0],
    ["a link that is longer than all", 0x4a, 2, 0],
    ["a text that is longer than its link", 0x4a, 2, 0x0a, 2, 0, 0],
    ["a text of an entry that is longer than the entry", 0x72, 2, 0x0a, 3, 0x4a, 0, 0],
    ["a text that is a number", 0x08, 0],
    ["a number that is a text", 0x22, 0],
  ] as [string, ...number[]][]) {
    assert.throws(() => count(Uint8Array.from(data)), RemoteProtocolError, what);
  }
  const path = (...bytes: number[]) => Uint8Array.of(0x4a, bytes.length + 4, 0x0a, bytes.length + 2, 0x0a, bytes.length, ...bytes);
  assert.equal(countMessages(FileDescriptorProtoSchema, path(1, 2, 3), 9), 3, "of a list in one field");
  assert.throws(() => countMessages(FileDescriptorProtoSchema, path(1, 0x80), 9), RemoteProtocolError);
});
