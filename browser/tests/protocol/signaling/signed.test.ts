// Of others only what they have signed is believed; each that is not is refused for its fault.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ActrId } from "../../../src/protocol/identity/ids";
import { Newest, signedReader } from "../../../src/protocol/signaling/signed";
import type { Presence } from "../../../src/protocol/signaling/tables";
import { webCrypto } from "../../../src/wire/crypto";
import { Issuer } from "../../kit/issuer";

const NOW = 1_800_000_000;
const ROOM = new ActrId("acme", "room", "2");
const OTHER = new ActrId("acme", "room", "3");
const SAID = {
  incarnation: 7n,
  wsAddress: "ws://10.0.0.1:9100/v1/wire",
  services: [["demo.Chat", "ab12"], ["demo.Files", ""]] as [string, string][],
  metadata: { color: "blue" },
};
const issuer = await Issuer.make(NOW);
const holder = await issuer.enrol(ROOM);
const genuine = await holder.presence(SAID);

function reader(newest?: Newest) {
  const refused: [string, string][] = [];
  const tell = (id: ActrId, why: string) => void refused.push([id.text, why]);
  return { refused, read: signedReader(webCrypto, holder, tell, newest) };
}

test("what an actor has signed is believed; load, epoch and the order of services are nobody's", async () => {
  const { read, refused } = reader();
  const shown = structuredClone(genuine);
  shown.epoch = 9n;
  shown.services.reverse();
  const found = await read(shown);
  assert.deepEqual(found?.services, [...SAID.services].reverse());
  assert.deepEqual([found?.epoch, found?.wsAddress, found?.incarnation], [9n, SAID.wsAddress, 7n]);
  assert.deepEqual(refused, []);
});

const faults: [string, (shown: Presence) => void | Promise<void>][] = [
  ["not signed", (shown) => void delete shown.signed],
  ["differs from what is signed", (shown) => void (shown.wsAddress = "ws://10.6.6.6:9100/v1/wire")],
  ["differs from what is signed", (shown) => void (shown.incarnation = 8n)],
  ["differs from what is signed", (shown) => void (shown.metadata["color"] = "red")],
  ["differs from what is signed", (shown) => void shown.services.pop()],
  ["id not covered", (shown) => void (shown.id = OTHER.toMessage())],
  ["bad signature", (shown) => void (shown.signed!.signature[3]! ^= 1)],
  [
    "bad signature",
    async (shown) => {
      const other = await (await issuer.enrol(ROOM)).presence(SAID);
      shown.signed!.signature = other.signed!.signature;
    },
  ],
  [
    "unknown issuer key",
    async (shown) => {
      shown.signed = (await (await (await Issuer.make(NOW)).enrol(ROOM)).presence(SAID)).signed!;
    },
  ],
];

for (const [why, change] of faults) {
  test(`who does not keep to it is refused: ${why}, ${change}`, async () => {
    const { read, refused } = reader();
    const shown = structuredClone(genuine);
    await change(shown);
    assert.equal(await read(shown), undefined);
    assert.deepEqual(refused.map(([, told]) => told), [why]);
  });
}

test("a registration that is older than one seen before is refused", async () => {
  const { read, refused } = reader();
  for (const at of [NOW, NOW - 60, NOW - 61]) {
    await read(await holder.presence(SAID, at));
  }
  assert.deepEqual(refused, [[ROOM.text, "older than one seen before"]]);
});

test("who was ahead of its time is not kept out by that", () => {
  const newest = new Newest();
  assert.ok(!newest.isOld(ROOM, NOW + 1000, NOW));
  assert.ok(!newest.isOld(ROOM, NOW - 60, NOW));
  assert.ok(newest.isOld(ROOM, NOW - 61, NOW));
});

test("of actors that were seen the last are remembered", () => {
  const newest = new Newest(1);
  newest.isOld(ROOM, NOW, NOW);
  newest.isOld(OTHER, NOW, NOW);
  assert.ok(!newest.isOld(ROOM, NOW - 100, NOW));
});
