// Rates of streams and tracks: of two views, in the actor's own time.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";

import { ActorViewSchema } from "../../console/gen/actr/services/inspection_pb";
import { Flows } from "../../console/model/flows";

const half = (items: bigint) => ({ remote: "a:b@1:r", channel: "c", isOutbound: true, items });
const track = (frames: bigint, bytes: bigint) => ({ remote: "a:b@1:r", trackId: "cam", isOutbound: true, frames, bytes });

function view(nowMs: bigint, init: MessageInitShape<typeof ActorViewSchema> = {}) {
  return create(ActorViewSchema, { incarnation: "1", nowMs, ...init });
}

test("what went between two views, in a second of the actor's", () => {
  const flows = new Flows();
  const first = view(1000n, { streams: { halves: [half(10n)] }, tracks: [track(5n, 1000n)] });
  flows.take(first);
  assert.deepEqual(flows.ofStream(first.streams!.halves[0]!), { items: 0, bytes: 0 });
  const second = view(3000n, { streams: { halves: [half(30n)] }, tracks: [track(65n, 9000n)] });
  flows.take(second);
  flows.take(second); // shown again: no news
  assert.deepEqual(flows.ofStream(second.streams!.halves[0]!), { items: 10, bytes: 0 });
  assert.deepEqual(flows.ofTrack(second.tracks[0]!), { items: 30, bytes: 4000 });
});

test("counts that begin anew, and another process, have no rate yet", () => {
  const flows = new Flows();
  flows.take(view(1000n, { tracks: [track(500n, 1000n)] }));
  const anew = view(2000n, { tracks: [track(5n, 10n)] });
  flows.take(anew);
  assert.deepEqual(flows.ofTrack(anew.tracks[0]!), { items: 0, bytes: 0 });
  const other = view(3000n, { incarnation: "2", tracks: [track(50n, 100n)] });
  flows.take(other);
  assert.deepEqual(flows.ofTrack(other.tracks[0]!), { items: 0, bytes: 0 });
});
