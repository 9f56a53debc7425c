// What a peer makes of a far side that says what it likes: a bare link calls it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Code } from "../../src/errors";
import { concat, utf8 } from "../../src/protocol/bytes";
import { type ByteLane, PayloadType, WireKind } from "../../src/protocol/payload";
import { readError } from "../../src/protocol/rpc/call-errors";
import { refusal } from "../../src/protocol/rpc/contracts";
import {
  decodeEnvelope,
  encodeError,
  encodeReply,
  encodeRequest,
  type Envelope,
  type Request,
} from "../../src/protocol/rpc/envelopes";
import { UNNUMBERED } from "../../src/protocol/session/receiver";
import {
  type Chunk,
  decodeChunk,
  encodeCredit,
  encodeEnd,
  encodeItem,
  encodeStreamCancel,
} from "../../src/protocol/streams/chunks";
import { actor, Peer } from "../../src/rpc/peer";
import { type Context, route } from "../../src/service";
import { Link } from "../../src/transport/link";
import { LIST, pause, SAY, text, type Text, until, UPLOAD } from "../kit/contract";
import { MemoryWire } from "../kit/wires";

const RPC = PayloadType.RPC_RELIABLE;
const STREAM = PayloadType.STREAM_RELIABLE;

/** A link that says what it is told to, and keeps what it hears. */
class Raw {
  readonly link: Link;
  readonly answers: Envelope[] = [];
  readonly requests: Envelope[] = [];
  readonly chunks: Chunk[] = [];
  ended: Error | null = null;

  constructor() {
    this.link = new Link("acme:peer@1:default", {
      isSmaller: true,
      dialers: new Map(),
      sink: {
        message: (link, lane, message, number) => this.hear(link, lane, message, number),
        reset: () => {},
        gone: (_, error) => {
          this.ended = error;
        },
      },
    });
  }

  private hear(link: Link, lane: ByteLane, message: Uint8Array, number: number): void {
    if (lane > PayloadType.RPC_SIGNAL) {
      this.chunks.push(decodeChunk(message));
    } else if (number === UNNUMBERED) {
      this.answers.push(decodeEnvelope(message));
    } else {
      this.requests.push(decodeEnvelope(message));
      link.acknowledge(lane as typeof RPC, number); // taken, and never answered
    }
  }

  ask(request: Partial<Request>): void {
    const payload = SAY.request.write(text(request.requestId ?? ""));
    const whole = { requestId: "r", routeKey: SAY.routeKey, payload, ...request };
    this.link.lane(RPC).post(encodeRequest(whole));
  }

  open(requestId: string, channelId: string, routeKey: string = UPLOAD.routeKey): void {
    this.ask({ requestId, routeKey, stream: { channelId, credit: 0, creditBytes: 0 } });
  }

  codes(): Code[] {
    return this.answers.flatMap(({ error }) => (error === undefined ? [] : [readError(error).code]));
  }
}

function joined() {
  const seen = { ran: [] as string[], left: 0 };
  const routes = [
    route(SAY, async (request: Text, context: Context) => {
      seen.ran.push(request.value);
      if (request.value === "slow") {
        await pause(0.1);
      } else if (request.value === "hangs") {
        await pause(5, context.signal);
      }
      return request;
    }),
    route(LIST, async function* (_: Text, context: Context) {
      seen.ran.push("list");
      try {
        yield text("first");
        await pause(5, context.signal);
      } finally {
        seen.left++;
      }
    }),
    route(UPLOAD, async (requests: AsyncIterable<Text>) => {
      seen.ran.push("upload");
      let count = 0;
      for await (const _ of requests) {
        count++;
      }
      return text(String(count));
    }),
  ];
  const peer = new Peer("acme:raw@1:default", {
    isSmaller: false,
    dialers: new Map(),
    actor: actor(routes),
  });
  const raw = new Raw();
  const join = (other: Link) => {
    const [near, far] = MemoryWire.pair(WireKind.WEBSOCKET);
    other.add(near);
    peer.link.add(far);
    return near;
  };
  return { peer, raw, seen, join, wire: join(raw.link) };
}

async function play(
  work: (played: ReturnType<typeof joined>) => void | Promise<void>,
  check: (played: ReturnType<typeof joined>) => void | Promise<void>,
): Promise<void> {
  const played = joined();
  try {
    await until(() => played.raw.link.isReady && played.peer.link.isReady);
    await work(played);
    for (let tries = 0; ; tries++) {
      await pause(0.05);
      try {
        await check(played);
        break;
      } catch (error) {
        if (tries === 40) {
          throw error; // a busy machine has had its time
        }
      }
    }
  } finally {
    played.raw.link.fail(new Error("the test is over"));
    played.peer.link.fail(new Error("the test is over"));
  }
}

test("a request that comes again is answered again, and does not run twice", () =>
  play(
    async ({ raw }) => {
      raw.ask({ requestId: "one" });
      await until(() => raw.answers.length > 0);
      raw.ask({ requestId: "one" });
    },
    ({ raw, seen }) => assert.deepEqual([seen.ran, raw.answers.length], [["one"], 2]),
  ));

test("a call that would wait for its own caller is refused", () =>
  play(
    ({ raw }) => {
      raw.ask({ requestId: "slow" });
      raw.ask({ requestId: "back", callChain: ["slow"] });
    },
    ({ raw }) => assert.deepEqual(raw.codes(), [Code.FAILED_PRECONDITION]),
  ));

test("a stream is not called, a call not opened, and a wrong name not taken", () =>
  play(
    ({ raw }) => {
      raw.ask({ routeKey: LIST.routeKey });
      raw.open("b", "c", SAY.routeKey);
      raw.open("d", "");
      raw.ask({ requestId: "e", payload: Uint8Array.of(0xff) });
      // An id of 65 characters in the chain of calls.
      raw.link.lane(RPC).post(concat([utf8("\n\u0001frA"), utf8("r".repeat(65))]));
      raw.ask({ requestId: "g", routeKey: "no.Such.Method" });
    },
    ({ raw }) => {
      const invalid = Array<Code>(5).fill(Code.INVALID_ARGUMENT);
      assert.deepEqual(raw.codes().sort((a, b) => a - b), [...invalid, Code.UNIMPLEMENTED]);
    },
  ));

test("a request on a reply lane breaks the rules, and ends the link", () =>
  play(
    ({ raw }) =>
      raw.link.lane(RPC).answer(
        encodeRequest({ requestId: "r", routeKey: "x", payload: new Uint8Array(0) }),
      ),
    ({ raw, peer }) => {
      assert.match(raw.ended!.message, /broke the protocol/);
      assert.ok(peer.link.refusal() !== null);
    },
  ));

test("items before the first grant refuse the stream, whether it waits or is not known yet", () =>
  play(
    async ({ raw }) => {
      raw.ask({ requestId: "slow" });
      raw.open("waits", "a");
      raw.link.lane(STREAM).post(encodeItem("a", 0, new Uint8Array(0)));
      raw.link.lane(STREAM).post(encodeItem("b", 0, new Uint8Array(0)));
      await until(() => raw.chunks.length > 0);
      raw.open("late", "b");
      await pause(0.1);
    },
    ({ raw, seen }) => {
      assert.deepEqual(raw.codes(), [Code.FAILED_PRECONDITION, Code.FAILED_PRECONDITION]);
      assert.deepEqual(raw.chunks.map(({ kind, channelId }) => [kind, channelId]), [["cancel", "b"]]);
      assert.deepEqual(seen.ran, ["slow"]);
    },
  ));

test("a channel is opened once; the same opening again is a repetition", () =>
  play(
    ({ raw }) => {
      raw.open("one", "a");
      raw.open("one", "a");
      raw.open("two", "a");
    },
    ({ raw, seen }) => assert.deepEqual([raw.codes(), seen.ran], [[Code.ALREADY_EXISTS], ["upload"]]),
  ));

test("requests that are not whole end the stream with DATA_LOSS", () =>
  play(
    async ({ raw }) => {
      raw.open("one", "a");
      await until(() => raw.chunks.length > 0);
      raw.link.lane(STREAM).post(encodeItem("a", 0, new Uint8Array(0)));
      raw.link.lane(STREAM).post(encodeEnd("a", 2));
    },
    ({ raw }) => assert.deepEqual(raw.codes(), [Code.DATA_LOSS]),
  ));

test("a cancel on the channel alone ends the handler", () =>
  play(
    async ({ raw }) => {
      const stream = { channelId: "l", credit: 8, creditBytes: 0 };
      raw.ask({ requestId: "l", routeKey: LIST.routeKey, stream });
      await until(() => raw.chunks.length > 0);
      raw.link.lane(STREAM).post(encodeStreamCancel("l"));
    },
    ({ seen }) => assert.equal(seen.left, 1),
  ));

test("a call and a stream that wait for their turn are refused when their time is over", () =>
  play(
    async ({ raw }) => {
      raw.ask({ requestId: "slow" });
      raw.ask({ requestId: "waits", timeout: 0.02 });
      const stream = { channelId: "o", credit: 0, creditBytes: 0 };
      raw.ask({ requestId: "o", routeKey: UPLOAD.routeKey, timeout: 0.02, stream });
      await pause(0.1);
    },
    ({ raw, seen }) => {
      assert.deepEqual(raw.codes(), [Code.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED]);
      assert.deepEqual(seen.ran, ["slow"]);
    },
  ));

test("a stream that is left while it waits for its turn never runs", () =>
  play(
    async ({ raw, peer, seen }) => {
      // The other way round: the peer opens, and the far side hears that it has left.
      const controller = new AbortController();
      const upload = peer.client().clientStream(UPLOAD, requests(), { signal: controller.signal });
      const left = assert.rejects(upload, /left/);
      await until(() => raw.requests.length > 0);
      controller.abort(new Error("left"));
      await left;
      await until(() => raw.requests.length > 1 && raw.answers.length > 0);
      assert.deepEqual(raw.requests.map(({ direction }) => direction), [0, 3]);
      assert.equal(raw.answers[0]?.direction, 3);
      assert.deepEqual(seen.ran, []);
    },
    () => {},
  ));

async function* requests(): AsyncGenerator<Text> {
  yield text("never taken");
}

test("a call that was taken and not answered goes to the far side's next process", () =>
  play(
    async ({ raw, peer, join }) => {
      const call = peer.client().unary(SAY, text("again"));
      await until(() => raw.requests.length > 0);
      await pause(0.05);
      assert.equal(raw.requests.length, 1);
      call.catch(() => {});
      const next = new Raw();
      try {
        join(next.link);
        await until(() => next.requests.length > 0);
        const [request] = next.requests;
        assert.equal(request?.requestId, raw.requests[0]!.requestId);
        next.link.lane(RPC).answer(encodeReply(request.requestId, SAY.reply.write(text("yes"))));
        assert.equal((await call).value, "yes");
      } finally {
        next.link.fail(new Error("the test is over"));
      }
    },
    () => {},
  ));

test("a stream of which something was taken is not opened again, whatever its refusal says", () =>
  play(
    async ({ raw, peer }) => {
      const upload = peer.client().clientStream(UPLOAD, requests());
      upload.catch(() => {});
      await until(() => raw.requests.length > 0);
      const [{ requestId }] = raw.requests as [Envelope];
      raw.link.lane(STREAM).post(encodeCredit(requestId, { items: 8, size: 0 }));
      await until(() => raw.chunks.some(({ kind }) => kind === "item"));
      raw.link.lane(RPC).answer(encodeError(requestId, refusal(UPLOAD, 7n)!));
      await assert.rejects(upload, /another contract/);
      assert.equal(raw.requests.length, 1);
    },
    () => {},
  ));

test("nobody but who was asked can answer a call, and a late answer is dropped", () =>
  play(
    async ({ raw, peer }) => {
      raw.link.lane(RPC).answer(encodeReply("unknown", new Uint8Array(0)));
      await assert.rejects(peer.client().unary(SAY, text("x"), { timeout: 0.05 }), /no end/);
      raw.link.lane(RPC).answer(encodeReply(raw.requests[0]!.requestId, new Uint8Array(0)));
    },
    ({ peer }) => assert.equal(peer.link.refusal(), null),
  ));
