// The signaling client and a service written here by hand, over real sockets: what is cut, late, or refused.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";

import type { JsonValue } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { WebSocket, WebSocketServer } from "ws";

import { ConfigError, UnreachableError } from "../../src/errors";
import type { ClientMessage } from "../../src/gen/actr/signaling_pb";
import { ClientMessageSchema } from "../../src/gen/actr/signaling_pb";
import { ActrId } from "../../src/protocol/identity/ids";
import { Proofs } from "../../src/protocol/signaling/proofs";
import type { NegotiateMessage } from "../../src/protocol/webrtc/negotiation";
import { webCrypto } from "../../src/wire/crypto";
import { SignalingClient } from "../../src/wire/signaling/client";
import type { SignalingState } from "../../src/wire/signaling/upkeep";
import type { SocketClass } from "../../src/wire/socket";
import { Issuer } from "../kit/issuer";
import { bytesOf, HELLO } from "../kit/said";

const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");
const BYE: NegotiateMessage = { connectionId: "c", exchange: 0, body: { kind: "bye", reason: "r" } };
const timeout = 20_000;

/** What answers a message; undefined: nothing does. */
type Answer = (asked: ClientMessage, far: WebSocket, connection: number) => Record<string, JsonValue> | undefined;

const ORDINARY: Partial<Record<string, Record<string, JsonValue>>> = {
  authenticate: { authenticated: {} },
  register: { registered: { epoch: 4, heartbeatIntervalMs: 1000 } },
  heartbeat: { heartbeatAck: {} },
  unregister: { receipt: {} },
  relay: { receipt: {} },
  discover: { discovered: {} },
};

/** A service that answers as an ordinary one does, but where `answer` says something else. */
async function service(answer: Answer) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "actr.v1" });
  after(() => {
    server.clients.forEach((far) => far.terminate());
    server.close();
  });
  const asked: ClientMessage[] = [];
  const closed: number[] = [];
  let connections = 0;
  server.on("connection", (far) => {
    const connection = ++connections;
    far.on("close", (code) => closed.push(code));
    far.on("message", (data: Buffer) => {
      const message = fromBinary(ClientMessageSchema, new Uint8Array(data));
      asked.push(message);
      const said = answer(message, far, connection) ?? ORDINARY[message.body.case ?? ""];
      if (said !== undefined && Object.keys(said).length > 0) {
        far.send(bytesOf({ replyTo: String(message.id), ...said }));
      }
    });
    far.send(bytesOf(HELLO));
  });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return { url: `ws://127.0.0.1:${port}/v1/ws`, asked, closed, connections: () => connections };
}

function client(url: string, proofs = new Proofs(webCrypto)) {
  const [states, changes]: [SignalingState[], string[]] = [[], []];
  let wake = () => {};
  const made = new SignalingClient({
    url,
    socket: WebSocket as unknown as SocketClass,
    registration: { id: ALICE, incarnation: 7n },
    proofs,
    sink: {
      relayed: () => {},
      presence: ({ change, presence }) => changes.push(`${change} ${presence.id.instance}`),
      state: (state) => {
        states.push(state);
        wake();
      },
    },
  });
  after(() => made.close());
  const until = async (isSo: () => boolean) => {
    while (!isSo()) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { made, states, changes, until };
}

test("what a lost connection did not answer is asked on the next", { timeout }, async () => {
  const present = (instance: string) => ({
    id: { manufacturer: "acme", name: "chat", instance, realm: "default" },
  });
  const { url, asked } = await service(({ body }, far, connection) => {
    if (body.case === "relay" && connection === 1) {
      far.terminate();
      return {};
    }
    const seen = connection === 1 ? ["bob", "carol"] : ["bob", "dave"];
    return body.case === "subscribe" ? { snapshot: { present: seen.map(present) } } : undefined;
  });
  const { made, states, changes } = client(url);
  await made.start();
  assert.deepEqual((await made.subscribe()).map(({ id }) => id.instance), ["bob", "carol"]);
  await made.relay(BOB, BYE);
  assert.equal(asked.filter(({ body }) => body.case === "relay").length, 2);
  assert.deepEqual(changes, ["join dave", "leave carol"]);
  assert.deepEqual(states, ["registered", "waiting", "connecting", "registered"]);
});

test("what is not answered in time is forgotten, and so are many", { timeout }, async () => {
  let isSilent = true;
  const { url } = await service(({ body }) => (isSilent && body.case === "discover" ? {} : undefined));
  const { made } = client(url);
  await made.start();
  const many = Array.from({ length: 1024 }, () => made.discover({ service: "a.B" }, 0.3));
  for (const result of await Promise.allSettled(many)) {
    assert.ok(result.status === "rejected" && result.reason instanceof UnreachableError);
  }
  isSilent = false;
  assert.deepEqual(await made.discover({ service: "a.B" }), []);
});

test("a service that goes away is left for another", { timeout }, async () => {
  const { url, closed } = await service(({ body }, far, connection) => {
    if (body.case === "relay" && connection === 1) {
      setTimeout(() => far.send(bytesOf({ goaway: { reconnectAfterMs: 10 } })));
    }
    return undefined;
  });
  const { made, states, until } = client(url);
  await made.start();
  await made.relay(BOB, BYE);
  await until(() => states.length === 4);
  assert.equal(closed[0], 1000); // a page may not say 1001
});

test("who says what is no message is left, and tried again", { timeout }, async () => {
  const { url, closed } = await service(({ body }, far, connection) => {
    if (body.case === "relay" && connection < 3) {
      far.send(connection === 1 ? new Uint8Array([8, 1, 255]) : "text");
      return {};
    }
    return undefined;
  });
  const { made } = client(url);
  await made.start();
  await made.relay(BOB, BYE);
  assert.deepEqual(closed, [4400, 4400]);
});

test("an actor that was registered and is refused asks again, at once where it is told to", { timeout }, async () => {
  const { url, connections } = await service(({ body }, far, connection) => {
    if (body.case === "relay" && connection === 1) {
      far.terminate();
      return {};
    }
    return body.case === "register" && connection === 2 ? { error: { code: 4403, message: "no" } } : undefined;
  });
  const { made, states, until } = client(url);
  await made.start();
  const asked = made.relay(BOB, BYE);
  await until(() => states.includes("refused"));
  assert.match(made.trouble, /refuses acme:chat@alice:default: 4403 no/);
  made.retry();
  await asked;
  assert.equal(connections(), 3);
});

test("heartbeats go out while nothing else does, and a silent service is left", { timeout }, async () => {
  const { url, asked, connections } = await service(({ body }, _, connection) =>
    body.case === "heartbeat" && connection === 1 ? {} : undefined,
  );
  const { made, states, until } = client(url);
  await made.start();
  await until(() => states.includes("waiting"));
  assert.equal(asked.filter(({ body }) => body.case === "heartbeat").length, 3);
  assert.match(made.trouble, /silent/);
  await until(() => connections() === 2 && made.state === "registered");
});

for (const refusedOn of [1, 2]) {
  test(`who is refused on connection ${refusedOn} tries once more with a new certificate`, { timeout }, async () => {
    const { url, asked } = await service(({ body }, far, connection) => {
      if (body.case === "authenticate" && connection === refusedOn) {
        far.close(4401, "revoked");
        return {};
      }
      if (body.case === "relay" && connection === 1) {
        far.terminate();
        return {};
      }
      return undefined;
    });
    const holder = await (await Issuer.make(1_800_000_000)).enrol(ALICE);
    let renewals = 0;
    const renew = async () => (renewals++, true);
    const { made } = client(url, new Proofs(webCrypto, undefined, Object.assign(holder, { renew, isRequired: false })));
    await made.start();
    await made.relay(BOB, BYE);
    assert.equal(renewals, 1);
    const proofs = asked.filter(({ body }) => body.case === "authenticate").length;
    assert.equal(proofs, refusedOn + 1);
  });
}

test("who hears of the network, or of the certificate, while it is asked for waits for the answer", { timeout }, async () => {
  const { url, connections } = await service(({ body }, far, connection) => {
    if (body.case === "authenticate" && connection === 1) {
      far.close(4401, "its certificate has ended");
      return {};
    }
    return undefined;
  });
  const holder = await (await Issuer.make(1_800_000_000)).enrol(ALICE);
  const renew = async () => {
    made.retry();
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  };
  const { made } = client(url, new Proofs(webCrypto, undefined, Object.assign(holder, { renew, isRequired: false })));
  await made.start();
  assert.equal(connections(), 2);
});

test("who is refused again, or gets none, is told", { timeout }, async () => {
  const { url, connections } = await service(({ body }, far) => {
    if (body.case === "authenticate") {
      far.close(4401, "revoked");
      return {};
    }
    return undefined;
  });
  const holder = await (await Issuer.make(1_800_000_000)).enrol(ALICE);
  for (const [has, tries] of [[true, 2], [false, 3]] as const) {
    const { made } = client(url, new Proofs(webCrypto, undefined, Object.assign(holder, { renew: async () => has })));
    await assert.rejects(made.start(), (error) => error instanceof ConfigError && /4401 revoked/.test(error.message));
    assert.equal(connections(), tries);
  }
});
