// The two halves of a stream: credit by items and bytes, sequence, end.

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { BrokenError, CallError, Code, LimitError, RemoteProtocolError } from "../../../src/errors";
import { LIFETIME } from "../../../src/protocol/payload";
import type { Chunk, Credit } from "../../../src/protocol/streams/chunks";
import { FIRST, ReadingHalf, WINDOW, WINDOW_BYTES, WritingHalf } from "../../../src/protocol/streams/halves";
import { State } from "../../../src/protocol/streams/states";
import { Random } from "../../kit/random";

const BASE: Chunk = {
  kind: "item",
  channelId: "c",
  sequence: 0,
  data: new Uint8Array(1),
  metadata: {},
  error: null,
  credit: { items: 0, size: 0 },
  opening: 0,
  size: 10,
  sentAt: 0,
  bornAt: Infinity,
};

function item(sequence: number, size = 10): Chunk {
  return { ...BASE, sequence, size };
}

function end(sequence: number): Chunk {
  return { ...BASE, kind: "end", sequence };
}

function reading(isMetered = true): ReadingHalf {
  const half = new ReadingHalf(isMetered);
  half.listen();
  return half;
}

test("a writer spends items and bytes, and waits at the end of either", () => {
  const half = new WritingHalf({ items: 2, size: 100 }, true);
  half.spend(10);
  assert.ok(half.maySend);
  half.spend(10);
  assert.ok(!half.maySend);
  half.grant({ items: 5, size: 0 + 20 });
  half.spend(1000); // the last item may be longer than what is left
  assert.ok(!half.maySend);
  half.grant({ items: 1, size: 900 });
  assert.ok(!half.maySend);
  half.grant({ items: 1, size: 1 });
  assert.ok(half.maySend);
});

test("a grant that names no bytes lifts the limit on them", () => {
  const half = new WritingHalf({ items: 2, size: 0 }, true);
  half.spend(1_000_000);
  assert.ok(half.maySend);
});

test("the end waits for the far side to listen, and is said once", () => {
  const half = new WritingHalf(null, true);
  assert.ok(!half.grant({ items: 0, size: 0 }));
  assert.ok(!half.end());
  assert.equal(half.state, State.HALF_CLOSED);
  assert.ok(half.grant(FIRST));
  assert.equal(half.state, State.ENDED);
  assert.ok(!half.end());
  assert.ok(!half.fail(new BrokenError("late")));
});

test("items that are held come out in order, and then the half has ended", () => {
  const half = reading();
  [item(0), item(1), item(2), end(3)].forEach((chunk) => half.receive(chunk));
  assert.equal(half.state, State.HALF_CLOSED);
  assert.deepEqual([0, 1, 2].map(() => half.take()!.sequence), [0, 1, 2]);
  assert.equal(half.state, State.ENDED);
});

for (const [why, chunks] of Object.entries({
  "the first item is missing": [item(1)],
  "a gap": [item(0), item(2)],
  "a repeat": [item(0), item(0)],
  "an end that counts an item that did not come": [end(1)],
  "an end that counts too few": [item(0), item(1), end(1)],
})) {
  test(`a stream that is not whole is broken, and no shorter one: ${why}`, () => {
    const half = reading();
    chunks.slice(0, -1).forEach((chunk) => half.receive(chunk));
    assert.throws(() => half.receive(chunks.at(-1)!), RemoteProtocolError);
    assert.equal(half.state, State.FAILED);
    assert.equal(half.held.length, chunks.length - 1);
  });
}

test("nothing but an error may come before the first grant", () => {
  for (const chunk of [item(0), end(0)]) {
    assert.throws(() => new ReadingHalf(true).receive(chunk), RemoteProtocolError);
  }
  const half = new ReadingHalf(true);
  const error = new CallError(Code.ABORTED, "no more");
  half.receive({ ...BASE, kind: "error", error });
  assert.equal(half.error, error);
});

test("one item, or byte, more than granted breaks the stream", () => {
  const half = reading();
  for (let number = 0; number < WINDOW; number++) {
    half.receive(item(number));
  }
  assert.throws(() => half.receive(item(WINDOW)), LimitError);
  const other = reading();
  other.receive(item(0, WINDOW_BYTES - 1));
  other.receive(item(1, 16 << 20));
  assert.throws(() => other.receive(item(2, 1)), LimitError);
});

test("a grant is due for a part of the window in items or bytes", () => {
  const half = reading();
  for (let number = 0; number < WINDOW; number++) {
    half.receive(item(number));
  }
  const due: Credit[] = [];
  for (let number = 0; number < WINDOW; number++) {
    half.take();
    due.push(...[half.due()].filter((credit) => credit !== null));
  }
  assert.deepEqual(due, Array(4).fill({ items: WINDOW / 4, size: (WINDOW / 4) * 10 }));
  half.receive(item(WINDOW, WINDOW_BYTES / 2));
  half.take();
  assert.deepEqual(half.due(), { items: 1, size: WINDOW_BYTES / 2 });
});

test("a closed half drops what it holds, and tells once", () => {
  const half = reading();
  half.receive(item(0));
  assert.ok(half.close());
  assert.ok(!half.close());
  half.receive(item(1));
  assert.equal(half.held.length, 0);
});

test("a slow latency-first reader loses the oldest by items and by bytes", () => {
  const half = reading(false);
  for (let number = 0; number < WINDOW + 5; number++) {
    half.receive(item(number));
  }
  assert.equal(half.dropped, 5);
  half.receive(item(100, WINDOW_BYTES * 2));
  half.receive(item(101));
  assert.deepEqual(half.held.map((chunk) => chunk.sequence), [101]);
});

test("a latency-first end waits for what it overtook, or gives up on it", () => {
  const half = reading(false);
  [item(2), end(3)].forEach((chunk) => half.receive(chunk));
  assert.ok(half.isShort);
  [item(0), item(1)].forEach((chunk) => half.receive(chunk));
  assert.ok(!half.isShort);
  const other = reading(false);
  other.receive(end(3));
  other.giveUpOnLate();
  assert.equal(other.state, State.ENDED);
});

test("what is past its life is not handed over, and is counted", () => {
  const half = reading(false);
  [1, 1.2, 1.3].forEach((bornAt, sequence) => half.receive({ ...item(sequence), bornAt }));
  half.dropStale(1.15 + LIFETIME);
  assert.deepEqual([half.stale, half.dropped, half.take()!.sequence], [1, 0, 1]);
});

test("two halves never stand still, and hold a bounded number of bytes", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: WINDOW_BYTES * 2 }), { maxLength: 200 });
  fc.assert(
    fc.property(sizes, fc.integer(), (all, seed) => joined(all, new Random(seed))),
    { numRuns: 100 },
  );
});

/** A writer and a reader, and what is under way between them, in any order of steps. */
function joined(sizes: readonly number[], random: Random): void {
  const writer = new WritingHalf(null, true);
  const reader = new ReadingHalf(true);
  const forth: Chunk[] = [];
  const back: Credit[] = [reader.listen()];
  const taken: number[] = [];
  let next = 0;
  let hasEnded = false;
  const most = WINDOW_BYTES + Math.max(0, ...sizes);
  for (;;) {
    const steps: (() => void)[] = [];
    if (next < sizes.length && writer.maySend) {
      steps.push(() => {
        forth.push(item(next, sizes[next]!));
        writer.spend(sizes[next++]!);
      });
    }
    if (next === sizes.length && !hasEnded) {
      steps.push(() => {
        hasEnded = true;
        if (writer.end()) {
          forth.push(end(writer.sent));
        }
      });
    }
    if (forth.length > 0) {
      steps.push(() => reader.receive(forth.shift()!));
    }
    if (back.length > 0) {
      steps.push(() => {
        if (writer.grant(back.shift()!)) {
          forth.push(end(writer.sent));
        }
      });
    }
    if (reader.held.length > 0) {
      steps.push(() => {
        taken.push(reader.take()!.sequence);
        const credit = reader.due();
        if (credit !== null) {
          back.push(credit);
        }
      });
    }
    if (steps.length === 0) {
      break;
    }
    random.choice(steps)();
    assert.ok(reader.heldBytes <= most && reader.held.length <= WINDOW);
  }
  assert.deepEqual(taken, sizes.map((_, index) => index));
  assert.deepEqual([writer.state, reader.state], [State.ENDED, State.ENDED]);
}
