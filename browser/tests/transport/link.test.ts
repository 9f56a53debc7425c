// Links: how they are made, closed when idle, closed, and what they do when nothing works.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BrokenError, ClosedError, UnreachableError } from "../../src/errors";
import { PayloadType, WireKind } from "../../src/protocol/payload";
import { realTime, type Time } from "../../src/time";
import { Link, type LinkOptions } from "../../src/transport/link";
import { pause, until } from "../kit/contract";
import { MemoryWire } from "../kit/wires";

const STREAM = PayloadType.STREAM_RELIABLE;

/** A link, what it has heard, and how it ended. */
class Side {
  readonly link: Link;
  readonly heard: Uint8Array[] = [];
  readonly states: string[] = [];
  error: Error | null = null;

  constructor(options: Partial<LinkOptions> = {}) {
    this.link = new Link("acme:far@1:default", {
      isSmaller: false,
      dialers: new Map(),
      sink: {
        message: (_, __, message) => this.heard.push(message),
        reset: () => {},
        gone: (_, error) => {
          this.error = error;
        },
        wireChanged: (_, kind, state) => this.states.push(`${kind} ${state}`),
      },
      ...options,
    });
  }
}

/** A clock on which so many seconds pass in one. */
function faster(times: number): Time {
  return {
    now: () => realTime.now() * times,
    after: (seconds, action) => realTime.after(seconds / times, action),
  };
}

function join(near: Side, far: Side, kind = WireKind.WEBSOCKET): MemoryWire {
  const [one, other] = MemoryWire.pair(kind);
  near.link.add(one);
  far.link.add(other);
  return one;
}

/** Runs `work` with two links, which are gone behind it. */
async function between(
  work: (near: Side, far: Side) => Promise<void>,
  options: Partial<LinkOptions> = {},
): Promise<void> {
  const [near, far] = [new Side(options), new Side({ ...options, isSmaller: true })];
  try {
    await work(near, far);
  } finally {
    near.link.fail(new BrokenError("the test is over"));
    far.link.fail(new BrokenError("the test is over"));
  }
}

test("a message sent before there is a wire goes out on the first one", () =>
  between(async (near, far) => {
    await near.link.lane(STREAM).send(Uint8Array.of(7));
    join(near, far);
    await until(() => far.heard.length === 1);
    assert.deepEqual(far.heard, [Uint8Array.of(7)]);
    assert.ok(near.link.isReady);
  }));

test("who cannot be dialled is unreachable, and whoever waits is told why", async () => {
  const dialers = new Map([[WireKind.WEBSOCKET, () => Promise.reject(new Error("refused"))]]);
  // Three tries take seconds.
  const side = new Side({ dialers, prefer: [WireKind.WEBSOCKET], time: faster(100) });
  side.link.dial();
  await until(() => side.error !== null);
  assert.ok(side.error instanceof UnreachableError);
  await assert.rejects(side.link.lane(STREAM).send(new Uint8Array(1)), /refused/);
});

test("a full window makes senders wait, in order, and who leaves sends nothing", () =>
  between(async (near, far) => {
    const lane = near.link.lane(STREAM);
    const mega = new Uint8Array(1 << 20);
    for (let sent = 0; sent < 4; sent++) {
      await lane.send(mega);
    }
    const controller = new AbortController();
    const leaves = assert.rejects(lane.send(Uint8Array.of(1), { signal: controller.signal }), /left/);
    const waits = lane.send(Uint8Array.of(2));
    controller.abort(new Error("left"));
    await leaves;
    join(near, far);
    await waits;
    await until(() => far.heard.length === 5);
    assert.deepEqual(far.heard.map((message) => message.length), [1 << 20, 1 << 20, 1 << 20, 1 << 20, 1]);
    assert.deepEqual(far.heard.at(-1), Uint8Array.of(2));
  }));

test("closing waits for what was sent, and tells the far side", () =>
  between(async (near, far) => {
    join(near, far);
    await until(() => near.link.isReady);
    const closed = (async () => {
      await near.link.lane(STREAM).send(new Uint8Array(1 << 20));
      await near.link.close();
    })();
    await closed;
    await until(() => far.error !== null);
    assert.equal(far.heard.length, 1);
    assert.match(far.error!.message, /closed the link/);
    await assert.rejects(near.link.lane(STREAM).send(new Uint8Array(1)), ClosedError);
    await near.link.close();
  }));

test("an idle link is closed where both sides have no use for it", () =>
  between(
    async (near, far) => {
      join(near, far);
      await pause(0.1);
      near.link.closeIfIdle(1000);
      await pause(0.1);
      assert.equal(near.error, null);
      await pause(0.2); // eight seconds in all
      near.link.closeIfIdle(5);
      await until(() => near.error !== null);
      assert.match(near.error!.message, /was idle/);
      assert.match(far.error!.message, /was idle/);
    },
    { time: faster(20) },
  ));

test("of two wires of a kind one is kept, and nothing is lost", () =>
  between(async (near, far) => {
    const wires = [join(near, far), join(near, far)];
    for (let number = 0; number < 20; number++) {
      await near.link.lane(STREAM).send(Uint8Array.of(number));
      await pause(0.1);
    }
    await until(() => far.heard.length === 20 && wires.some((wire) => !wire.isOpen));
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    assert.deepEqual(far.heard.map(([number]) => number), numbers);
    assert.deepEqual(wires.map((wire) => wire.isOpen).sort(), [false, true]);
  }));

test("in a page that is not shown, word of what has come goes out at once", () =>
  between(
    async (near, far) => {
      join(near, far);
      await pause(0.05);
      await near.link.lane(STREAM).send(Uint8Array.of(1));
      await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
      let isClosed = false;
      void near.link.close().then(() => {
        isClosed = true;
      });
      await Promise.resolve();
      await Promise.resolve();
      assert.ok(isClosed);
    },
    { isThrottled: () => true },
  ));
