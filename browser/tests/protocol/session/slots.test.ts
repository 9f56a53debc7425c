// When a relayed wire is dialled: the last resort of a link.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WireKind } from "../../../src/protocol/payload";
import { Slots } from "../../../src/protocol/session/wires/slots";

const { WEBRTC, WEBSOCKET, RELAYED } = WireKind;
const kinds = [WEBRTC, WEBSOCKET, RELAYED];
const others = [WEBRTC, WEBSOCKET];

/** A link whose wires of both other kinds are there, after each has failed once. */
function linked(isSmaller: boolean): Slots {
  const slots = new Slots(kinds, kinds, isSmaller);
  slots.dials(0);
  for (const kind of others) {
    slots.failed(kind, 1, 0.5);
    slots.opened(kind, others.indexOf(kind));
    slots.greeted(kind, others.indexOf(kind), 10);
  }
  assert.deepEqual(slots.dials(10), []);
  return slots;
}

function lose(slots: Slots, now: number): void {
  others.forEach((kind, number) => slots.gone(kind, number, now, 0.5));
}

for (const isSmaller of [true, false]) {
  test(`a link that loses its wires has patience (${isSmaller})`, () => {
    const slots = linked(isSmaller);
    lose(slots, 100);
    assert.deepEqual(slots.dials(100), isSmaller ? others : []);
    assert.deepEqual(slots.dials(100.1), isSmaller ? [] : others);
    assert.deepEqual(slots.dials(102), [RELAYED]);
  });
}

test("it is dialled when each has failed since", () => {
  const slots = linked(true);
  lose(slots, 100);
  slots.dials(100);
  slots.failed(WEBRTC, 100.2, 0.5);
  assert.deepEqual(slots.dials(100.2), []);
  slots.failed(WEBSOCKET, 100.3, 0.5);
  assert.deepEqual(slots.dials(100.3), [RELAYED]);
});

test("a wire that breaks as soon as it is made gives no hope", () => {
  const slots = linked(true);
  lose(slots, 11);
  assert.deepEqual(slots.dials(11), [RELAYED]);
});
