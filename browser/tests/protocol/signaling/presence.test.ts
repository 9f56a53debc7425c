import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { ActrId } from "../../../src/protocol/identity/ids";
import type { Change, Presence, PresenceEvent, Reason } from "../../../src/protocol/signaling/presence";
import { IDLE, PresenceView } from "../../../src/protocol/signaling/presence";

function actor(name: string, instance: string, epoch: bigint, incarnation = 1n): Presence {
  const id = new ActrId("acme", name, instance);
  return { id, incarnation, wsAddress: "", services: [], metadata: {}, load: IDLE, epoch };
}

function event(change: Change, presence: Presence, version: bigint, reason: Reason = "none"): PresenceEvent {
  return { kind: "presence", change, presence, version, reason };
}

const ROOM = actor("room", "1", 5n);
const CHAT = actor("chat", "1", 7n);
const NEWER = actor("room", "1", 6n, 2n);

test("a snapshot fills the view of its type", () => {
  const view = new PresenceView();
  assert.deepEqual(view.reset("acme:room", 10n, [ROOM]), [event("join", ROOM, 10n)]);
  assert.equal(view.find(ROOM.id), ROOM);
  assert.deepEqual([view.ofType("acme:room"), view.ofType(""), view.ofType("acme:chat")], [[ROOM], [ROOM], []]);
});

test("a second snapshot says what changed meanwhile", () => {
  const view = new PresenceView();
  const moved = { ...CHAT, wsAddress: "ws://elsewhere:1/" };
  const [third, fourth] = [actor("chat", "3", 1n), actor("chat", "4", 1n)];
  view.reset("", 10n, [ROOM, CHAT, third]);
  assert.deepEqual(view.reset("", 20n, [NEWER, moved, fourth]), [
    event("leave", ROOM, 20n, "replaced"),
    event("join", NEWER, 20n),
    event("update", moved, 20n),
    event("join", fourth, 20n),
    event("leave", third, 20n),
  ]);
  assert.equal(view.size, 3);
});

test("load alone is no news in a snapshot", () => {
  const view = new PresenceView();
  view.reset("", 10n, [ROOM]);
  const busy = { ...ROOM, load: { mailboxBacklog: 100, powerReserve: 0.1 } };
  assert.deepEqual(view.reset("", 11n, [busy]), []);
  assert.equal(view.find(ROOM.id), busy);
});

test("a snapshot of one type leaves others alone", () => {
  const view = new PresenceView();
  view.reset("acme:chat", 10n, [CHAT]);
  view.reset("acme:room", 11n, []);
  assert.equal(view.find(CHAT.id), CHAT);
});

test("what is told twice is news once", () => {
  const view = new PresenceView();
  const [join, leave] = [event("join", ROOM, 11n), event("leave", ROOM, 12n, "closed")];
  const told = [join, join, leave, leave].map((each) => view.apply(each));
  assert.deepEqual(told, [true, false, true, false]);
});

test("word of an older session changes nothing, of a newer it counts even where versions began anew", () => {
  const view = new PresenceView();
  view.apply(event("join", NEWER, 20n));
  assert.ok(!view.apply(event("leave", ROOM, 19n, "replaced")));
  assert.ok(!view.apply(event("update", ROOM, 25n)));
  assert.equal(view.find(ROOM.id), NEWER);
  const other = new PresenceView();
  other.apply(event("join", ROOM, 1000n));
  assert.ok(other.apply(event("update", NEWER, 3n)));
  assert.ok(other.apply(event("leave", NEWER, 4n)));
});

test("a replica that is behind does not bring an older session back", () => {
  const view = new PresenceView();
  view.reset("acme:room", 10n, [NEWER]);
  assert.deepEqual(view.reset("acme:room", 8n, [ROOM]), []);
  assert.equal(view.find(ROOM.id), NEWER);
  assert.ok(view.apply(event("leave", NEWER, 11n)));
  assert.ok(!view.apply(event("join", ROOM, 12n)));
  assert.deepEqual(view.reset("acme:room", 13n, [ROOM]), []);
  assert.equal(view.find(ROOM.id), undefined);
});

test("forgetting a type keeps what another subscription shows", () => {
  const view = new PresenceView();
  view.reset("", 10n, [ROOM, CHAT]);
  view.forget("", new Set(["acme:room"]));
  assert.deepEqual(view.ofType(""), [ROOM]);
  view.forget("acme:room", new Set([""]));
  assert.deepEqual(view.ofType(""), [ROOM]);
});

test("an epoch never goes back while an actor is there", () => {
  const told = fc.record({
    change: fc.constantFrom<Change>("join", "update", "leave"),
    actor: fc.constantFrom("room", "chat"),
    epoch: fc.bigInt(1n, 4n),
    incarnation: fc.bigInt(1n, 3n),
    version: fc.bigInt(1n, 9n),
  });
  fc.assert(
    fc.property(fc.array(told, { maxLength: 30 }), (items) => {
      const view = new PresenceView();
      for (const { change, actor: name, epoch, incarnation, version } of items) {
        const said = event(change, actor(name, "1", epoch, incarnation), version);
        const before = view.find(said.presence.id);
        const isNews = view.apply(said);
        const after = view.find(said.presence.id);
        assert.ok(!before || !after || after.epoch >= before.epoch);
        assert.ok(isNews || after === before);
      }
    }),
  );
});
