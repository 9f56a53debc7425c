// Long messages of the service, and what may not be one.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteProtocolError } from "../../../src/errors";
import { concat } from "../../../src/protocol/bytes";
import { LONG_BYTES, readListing } from "../../../src/protocol/signaling/listing";
import { decode } from "../../../src/protocol/signaling/messages";
import { readPresence } from "../../../src/protocol/signaling/reading";
import { bytesOf } from "../../kit/said";

function actors(count: number, metadata: Record<string, string> = {}) {
  const id = (instance: number) => ({ manufacturer: "a", name: "b", instance: `${instance}`, realm: "r" });
  return Array.from({ length: count }, (_, instance) => ({ id: id(instance), epoch: instance, metadata }));
}

test("a long listing is read as a short one is, with rests between", async () => {
  for (const name of ["snapshot", "discovered"] as const) {
    const present = actors(5000);
    const body = name === "snapshot" ? { actrType: "a:b", version: 5, present } : { found: present, next: "n" };
    const data = bytesOf({ replyTo: 3, [name]: body });
    assert.ok(data.length > LONG_BYTES);
    let rests = 0;
    const said = await decode(data, readPresence, async () => void rests++);
    assert.equal(said.replyTo, 3);
    assert.ok(rests > 5000);
    assert.ok(said.body?.kind === name);
    const read = said.body.kind === "snapshot" ? said.body.present : said.body.found;
    assert.deepEqual(read.map(({ epoch }) => Number(epoch)), present.map(({ epoch }) => epoch));
    const { kind, ...rest } = said.body;
    const ends = kind === "snapshot" ? { actrType: "a:b", version: 5n, present: read } : { found: read, next: "n" };
    assert.deepEqual(rest, ends);
  }
});

test("what is too long to be an actor is passed over, and so is one without an id", async () => {
  const present = [...actors(2), ...actors(1, { a: "x".repeat(70_000) }), { epoch: 7 }];
  const listing = await readListing(bytesOf({ snapshot: { present } }), readPresence);
  assert.equal(listing.present.length, 2);
});

test("no other message may be so long, and none is half", async () => {
  const negotiate = { connectionId: "c", bye: { reason: "x".repeat(LONG_BYTES) } };
  await assert.rejects(decode(bytesOf({ relayed: { negotiate } })), RemoteProtocolError);
  const data = bytesOf({ snapshot: { present: actors(5000) } });
  await assert.rejects(decode(data.subarray(0, data.length - 1)), RemoteProtocolError);
  await assert.rejects(decode(concat([data, data])), RemoteProtocolError);
  for (let size = LONG_BYTES + 1; size < LONG_BYTES + 60; size++) {
    await assert.rejects(decode(data.subarray(0, size)), RemoteProtocolError);
  }
});

test("a relay that no peer could send is passed over", async () => {
  const from = { manufacturer: "a", name: "b", instance: "c", realm: "r" };
  for (const [size, kind] of [[60_000, "relayed"], [66_000, undefined]] as const) {
    const negotiate = { connectionId: "c", bye: { reason: "x".repeat(size) } };
    const { body } = await decode(bytesOf({ relayed: { from, negotiate } }));
    assert.equal(body?.kind, kind);
  }
});
