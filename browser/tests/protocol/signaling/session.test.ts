// The client's machine, spoken to by a service written here by hand.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { JsonValue } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";

import { BusyError, ConfigError, LimitError, PeerError, RemoteProtocolError } from "../../../src/errors";
import { ClientMessageSchema } from "../../../src/gen/actr/signaling_pb";
import { utf8 } from "../../../src/protocol/bytes";
import { ActrId } from "../../../src/protocol/identity/ids";
import { IDLE } from "../../../src/protocol/signaling/presence";
import { Proofs } from "../../../src/protocol/signaling/proofs";
import type { Request } from "../../../src/protocol/signaling/requests";
import type { State } from "../../../src/protocol/signaling/session";
import { ClientSession, MAX_OPEN } from "../../../src/protocol/signaling/session";
import { webCrypto } from "../../../src/wire/crypto";
import { AUTHENTICATED, bytesOf, HELLO, REGISTERED, say, sent } from "../../kit/said";
import { each, hex } from "../../kit/vectors";

const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");
const BOB_ID = { manufacturer: "acme", name: "chat", instance: "bob", realm: "default" };
const REGISTRATION = { id: ALICE, incarnation: 1n };
const BYE: Request = {
  kind: "relay",
  to: BOB,
  negotiate: { connectionId: "c", exchange: 1, body: { kind: "bye", reason: "x" } },
};
const DISCOVER: Request = { kind: "discover", service: "a.B" };

function session(secret = "", subscriptions: string[] = []): ClientSession {
  return new ClientSession(REGISTRATION, new Proofs(webCrypto, utf8(secret)), subscriptions);
}

async function registered(): Promise<ClientSession> {
  const made = session();
  for (const message of [HELLO, AUTHENTICATED, REGISTERED]) {
    await say(made, message);
  }
  assert.equal(made.state, "registered");
  return made;
}

function errorOf(made: ClientSession, code?: number, reason = ""): PeerError | undefined {
  const ending = made.lost(code, reason);
  return ending.kind === "final" ? ending.error : undefined;
}

test("it proves, registers and subscribes in that order", async () => {
  const made = session("secret", ["acme:chat", ""]);
  const hello = { hello: { ...HELLO.hello, proofRequired: true } };
  const [proof] = sent(await say(made, hello));
  const text = utf8(`actr/signaling/v1s${"n".repeat(32)}${ALICE}`);
  assert.ok(proof?.body.case === "authenticate");
  assert.equal(hex(proof.body.value.mac), hex(await webCrypto.hmac(utf8("secret"), text)));
  const [register] = sent(await say(made, AUTHENTICATED));
  assert.ok(register?.body.case === "register");
  const [enrolled, ...rest] = await say(made, REGISTERED);
  const iceServers = [{ urls: ["stun:s"], username: "", credential: "" }];
  assert.deepEqual(enrolled, { kind: "enrolled", epoch: 4n, heartbeat: 10, iceServers, tookOver: false });
  const asked = sent(rest).map(({ id, body }) => [id, body.case === "subscribe" && body.value.actrType]);
  assert.deepEqual(asked, [[3n, "acme:chat"], [4n, ""]]);
  assert.deepEqual([proof.id, register.id], [1n, 2n]);
});

test("a proof that is required and cannot be given is final", async () => {
  const made = session();
  await assert.rejects(say(made, { hello: { ...HELLO.hello, proofRequired: true } }), RemoteProtocolError);
  assert.ok(errorOf(made, 1000) instanceof ConfigError);
});

test("who has a secret does not join a service that asks for none", async () => {
  const made = session("secret");
  await assert.rejects(say(made, HELLO), RemoteProtocolError);
  assert.ok(errorOf(made, 1000) instanceof ConfigError);
});

test("an answer comes with the number of its request, once", async () => {
  const pairs: [Request, Record<string, JsonValue>][] = [
    [BYE, { receipt: {} }],
    [BYE, { undelivered: {} }],
    [DISCOVER, { discovered: {} }],
    [{ kind: "unsubscribe", actrType: "" }, { done: {} }],
    [{ kind: "unregister" }, { receipt: {} }],
    [{ kind: "subscribe", actrType: "" }, { error: { code: 4429 } }],
  ];
  const made = await registered();
  for (const [request, reply] of pairs) {
    const { number } = made.ask(request);
    const [answer, ...more] = await say(made, { replyTo: number, ...reply });
    assert.ok(answer?.kind === "answered" && answer.number === number && more.length === 0);
    assert.deepEqual(await say(made, { replyTo: number, ...reply }), [], "answered twice");
  }
});

test("a snapshot is told before it is answered", async () => {
  const made = await registered();
  const { number } = made.ask({ kind: "subscribe", actrType: "a:b" });
  const snapshot = { actrType: "a:b", version: 3 };
  const effects = await say(made, { replyTo: number, snapshot });
  const body = { kind: "snapshot", actrType: "a:b", version: 3n, present: [] };
  assert.deepEqual(effects, [{ kind: "told", body }, { kind: "answered", number, body }]);
});

test("an answer that nobody waits for is dropped, one of the wrong kind is a violation", async () => {
  const made = await registered();
  const first = made.ask(DISCOVER).number;
  made.forget(first);
  assert.deepEqual(await say(made, { replyTo: first, discovered: {} }), []);
  const { number } = made.ask(DISCOVER);
  await assert.rejects(say(made, { replyTo: number, receipt: {} }), /receipt in answer to discover/);
});

test("fresh servers come with a heartbeat", async () => {
  const made = await registered();
  const { id } = fromBinary(ClientMessageSchema, made.beat(IDLE));
  const ack = { replyTo: String(id), heartbeatAck: { iceServers: [{ urls: ["stun:t"] }] } };
  const iceServers = [{ urls: ["stun:t"], username: "", credential: "" }];
  assert.deepEqual(await say(made, ack), [{ kind: "freshened", iceServers }]);
});

test("requests are bounded in bytes and number", async () => {
  const made = session();
  await say(made, { hello: { ...HELLO.hello, maxMessageBytes: 1000 } });
  await say(made, AUTHENTICATED);
  await say(made, REGISTERED);
  const body = { kind: "offer", sdp: "x".repeat(1000), trackIds: {} } as const;
  const long: Request = { kind: "relay", to: BOB, negotiate: { connectionId: "c", exchange: 1, body } };
  assert.throws(() => made.ask(long), LimitError);
  for (let count = 0; count < MAX_OPEN; count++) {
    made.ask({ kind: "unregister" });
  }
  assert.throws(() => made.ask({ kind: "unregister" }), LimitError);
  assert.equal(fromBinary(ClientMessageSchema, made.beat(IDLE)).body.case, "heartbeat");
});

test("a replacement by an older registration is none, and one by a newer is final", async () => {
  const made = await registered(); // with epoch 4
  for (const epoch of [0, 3, 4]) {
    assert.deepEqual(await say(made, { replaced: { epoch } }), []);
  }
  assert.equal(errorOf(made, 4409, "replaced"), undefined);
  const other = await registered();
  await say(other, { replaced: { epoch: 9 } });
  assert.ok(errorOf(other, undefined, "reset") instanceof BusyError);
});

test("the pace of heartbeats is bounded, and a service is left soon and once", async () => {
  for (const [asked, kept] of [[0, 1], [2 ** 32 - 1, 60], [5000, 5]] as const) {
    const made = session();
    await say(made, HELLO);
    await say(made, AUTHENTICATED);
    const [enrolled] = await say(made, { replyTo: 2, registered: { heartbeatIntervalMs: asked } });
    assert.ok(enrolled?.kind === "enrolled" && enrolled.heartbeat === kept);
    const goaway = { reconnectAfterMs: 2 ** 32 - 1 };
    assert.deepEqual(await say(made, { goaway }), [{ kind: "move", after: 30 }]);
    assert.deepEqual(await say(made, { goaway }), []);
    assert.deepEqual(made.lost(1000, ""), { kind: "lost", why: "1000", isPlanned: true });
  }
});

test("a refused proof or registration ends the session", async () => {
  for (const [code, kind] of [[4401, "final"], [4403, "final"], [4400, "final"], [4409, "final"], [4429, "lost"]] as const) {
    for (const steps of [1, 2]) {
      const made = session();
      for (const message of [HELLO, AUTHENTICATED].slice(0, steps)) {
        await say(made, message);
      }
      await assert.rejects(say(made, { replyTo: steps, error: { code } }), RemoteProtocolError);
      assert.equal(made.lost(undefined, "").kind, kind);
    }
  }
});

test("it asks for a free identity where it is to take none", async () => {
  for (const takesOver of [true, false]) {
    const made = new ClientSession({ ...REGISTRATION, takesOver }, new Proofs(webCrypto));
    await say(made, HELLO);
    const [register] = sent(await say(made, AUTHENTICATED));
    assert.ok(register?.body.case === "register" && register.body.value.onlyIfFree === !takesOver);
  }
});

const PRESENCE = { presence: { presence: { id: BOB_ID }, version: 2 } };
const MESSAGES: JsonValue[] = [
  HELLO,
  AUTHENTICATED,
  REGISTERED,
  { replyTo: 3, receipt: {} },
  { replyTo: 3, undelivered: {} },
  { replyTo: 3, snapshot: {} },
  { replyTo: 3, discovered: {} },
  { replyTo: 3, done: {} },
  { replyTo: 3, heartbeatAck: {} },
  PRESENCE,
  { relayed: { from: BOB_ID, negotiate: { bye: { reason: "r" } } } },
  { error: { code: 4400, message: "no" } },
  { goaway: { reconnectAfterMs: 100 } },
  { replaced: {} },
  {},
];
const STATES: State[] = ["greeting", "proving", "registering", "registered", "ended"];

test("every message has a meaning in every state, or is a violation that changes nothing", async () => {
  for (const state of STATES) {
    for (const message of MESSAGES) {
      const made = session();
      made.state = state;
      try {
        const effects = await say(made, message);
        assert.ok(state !== "ended" || effects.length === 0);
      } catch (error) {
        assert.ok(error instanceof RemoteProtocolError);
        assert.equal(made.state, state);
      }
    }
  }
});

test("what nobody asked for is told", async () => {
  const made = await registered();
  const kinds: string[] = [];
  for (const message of [PRESENCE, MESSAGES[10]!]) {
    const [told] = await say(made, message);
    kinds.push(told?.kind === "told" ? told.body.kind : "nothing");
  }
  assert.deepEqual(kinds, ["presence", "relayed"]);
});

test("any service at all leaves a known state and answers nothing twice", async () => {
  const script = fc.array(fc.constantFrom<JsonValue>(...MESSAGES, "ask"), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(script, async (items) => {
      const made = session("", ["a:b"]);
      const answered: number[] = [];
      for (const item of items) {
        if (item === "ask") {
          made.ask(DISCOVER);
          continue;
        }
        try {
          for (const effect of await say(made, item)) {
            answered.push(...(effect.kind === "answered" ? [effect.number] : []));
          }
        } catch (error) {
          assert.ok(error instanceof RemoteProtocolError);
          made.lost(undefined, "");
          break;
        }
      }
      assert.equal(answered.length, new Set(answered).size);
      assert.ok(STATES.includes(made.state));
    }),
    { numRuns: 200 },
  );
});

test("a service that takes too little for the proof is refused", async () => {
  const hello = { ...HELLO.hello, maxMessageBytes: 1 };
  await assert.rejects(say(session(), { hello }), /takes too little/);
  assert.ok(bytesOf({ hello }).length > 0);
});

each("close_codes", "signaling", "a client does what the code asks for", async (vector) => {
  const ending = (await registered()).lost(vector["code"], "why");
  const planned = ending.kind === "lost" && ending.isPlanned;
  const done = planned ? "connects again at once" : "connects again later";
  assert.equal(ending.kind === "final" ? "gives up" : done, vector["client"]);
});
