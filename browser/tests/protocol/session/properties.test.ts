// Sessions over wires that fail in every way: what arrived.

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { PeerError } from "../../../src/errors";
import { Receiver } from "../../../src/protocol/session/receiver";
import { Sender } from "../../../src/protocol/session/sender";
import { BreachError } from "../../kit/session/host";
import { play, someActions } from "../../kit/session/sim";

const ACTION = fc.record({
  name: fc.constantFrom(
    ..."send send send send send send send send flood open open open kill kill vary vary restart".split(" "),
  ),
  side: fc.integer({ min: 0, max: 1 }),
  value: fc.integer({ min: 0, max: 999 }),
  wait: fc.constantFrom(0, 0, 0.005, 0.03, 0.3, 1),
});

test("nothing is lost, doubled or reordered whatever wires do", () => {
  fc.assert(
    fc.property(fc.array(ACTION, { maxLength: 60 }), fc.integer(), (actions, seed) => {
      play(actions, seed);
    }),
    { numRuns: 30, seed: 7, endOnFailure: true },
  );
});

test("the harness sees repeats, hold-back and restarts", () => {
  const worlds = Array.from({ length: 12 }, (_, seed) => play(someActions(seed), seed));
  const hosts = worlds.flatMap((world) => world.hosts);
  const total = (of: (host: (typeof hosts)[number]) => number) =>
    hosts.reduce((sum, host) => sum + of(host), 0);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  assert.ok(total(({ session }) => sum(session.lanes.senders.map((each) => each.resent))) > 100);
  assert.ok(total(({ session }) => sum(session.lanes.receivers.map((each) => each.duplicates))) > 100);
  assert.ok(total((host) => host.incarnation) > 30);
});

/** What a session would be with one fault: how its parts are spoiled. */
const FAULTS: Record<string, () => () => void> = {
  "what a wire loses stays lost": () =>
    spoil(Sender.prototype, {
      wireLost(this: Sender): void {
        this.repeats.clear();
      },
      repeatOverdue: () => {},
      due: () => Infinity,
    }),
  "what comes again is delivered again": () => {
    const { receive } = Receiver.prototype;
    return spoil(Receiver.prototype, {
      receive(this: Receiver, ...[frame, now, out]: Parameters<typeof receive>): void {
        if (frame.seq < this.expected && frame.parts === 1) {
          out.push({ payloadType: this.payloadType, message: frame.payload, number: -1 });
        }
        receive.call(this, frame, now, out);
      },
    });
  },
  "what comes early is delivered early": () => {
    const { receive } = Receiver.prototype;
    return spoil(Receiver.prototype, {
      receive(this: Receiver, ...[frame, now, out]: Parameters<typeof receive>): void {
        if (frame.seq > this.expected && frame.parts === 1) {
          this.expected = frame.seq;
        }
        receive.call(this, frame, now, out);
      },
    });
  },
};

/** Puts faulty methods in the place of right ones; returns what puts the right ones back. */
function spoil<T extends object>(prototype: T, faulty: Partial<T>): () => void {
  const right = Object.fromEntries(
    Object.keys(faulty).map((name) => [name, prototype[name as keyof T]]),
  );
  Object.assign(prototype, faulty);
  return () => Object.assign(prototype, right);
}

for (const [fault, make] of Object.entries(FAULTS)) {
  test(`a deliberate fault is found: ${fault}`, () => {
    const mend = make();
    try {
      assert.throws(
        () => {
          for (let seed = 0; seed < 60; seed++) {
            play(someActions(seed), seed);
          }
        },
        (error) => error instanceof BreachError || error instanceof PeerError || error instanceof TypeError,
      );
    } finally {
      mend();
    }
  });
}
