// The WebSocket wire, with a listener written here by hand, over real sockets.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { WebSocket, WebSocketServer } from "ws";

import { BrokenError, LimitError, RemoteProtocolError, UnreachableError } from "../../src/errors";
import { WireHandshakeSchema } from "../../src/gen/actr/envelope_pb";
import { concat, utf8 } from "../../src/protocol/bytes";
import { ActrId } from "../../src/protocol/identity/ids";
import { decode, encode, HANDSHAKE, parseStep } from "../../src/protocol/websocket/lane-frames";
import { makeMac } from "../../src/protocol/websocket/proofs";
import { webCrypto } from "../../src/wire/crypto";
import type { SocketClass } from "../../src/wire/socket";
import { dialWebSocket } from "../../src/wire/websocket";
import { Ear } from "../kit/ear";

const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");
const timeout = 10_000;

function step(said: MessageInitShape<typeof WireHandshakeSchema>["step"]): Uint8Array {
  return encode(HANDSHAKE, toBinary(WireHandshakeSchema, create(WireHandshakeSchema, { step: said! })));
}

const CHALLENGE = { nonce: new Uint8Array(32).fill(7) };

/** A listener that does with each connection what a test wants. */
async function listener(serve: (far: WebSocket, next: () => Promise<Uint8Array>) => Promise<void>) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, path: "/v1/wire" });
  after(() => {
    server.clients.forEach((far) => far.terminate());
    server.close();
  });
  server.on("connection", (far) => {
    const frames: Uint8Array[] = [];
    let wake = () => {};
    far.on("message", (data: Buffer) => {
      frames.push(new Uint8Array(data));
      wake();
    });
    const next = async () => {
      while (frames.length === 0) {
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return frames.shift()!;
    };
    serve(far, next).catch((error: unknown) => far.close(4400, String(error)));
  });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return `ws://127.0.0.1:${port}/v1/wire`;
}

async function greet(far: WebSocket, next: () => Promise<Uint8Array>, more: Uint8Array[] = []) {
  const hello = parseStep(decode(await next()).data);
  assert.ok(hello.case === "hello" && hello.value.to?.instance === "bob");
  far.send(step({ case: "challenge", value: CHALLENGE }));
  const proof = parseStep(decode(await next()).data);
  assert.ok(proof.case === "proof");
  far.send(step({ case: "welcome", value: { wireMessageBytes: 81920 } }));
  more.forEach((frame) => far.send(frame));
}

function dial(address: string, secret = "") {
  const socket = WebSocket as unknown as SocketClass;
  return dialWebSocket({ socket, primitives: webCrypto, local: ALICE, remote: BOB, address, secret: utf8(secret) });
}

test("messages go both ways, also those that come with the welcome", { timeout }, async () => {
  const address = await listener(async (far, next) => {
    await greet(far, next, [encode(1, utf8("early"))]);
    const { type, data } = decode(await next());
    far.send(encode(type, concat([data, utf8("!")])));
  });
  const [wire, ear] = [await dial(address), new Ear()];
  wire.attach(ear);
  assert.equal(wire.maxMessageBytes, 81920);
  wire.send(2, utf8("hi"));
  await ear.until(() => ear.messages.length === 2);
  assert.deepEqual(ear.messages, [[1, utf8("early")], [2, utf8("hi!")]]);
  assert.throws(() => wire.send(0, new Uint8Array(81921)), LimitError);
  wire.close();
  wire.close();
  assert.ok(!ear.hasEnded, "told while it was being closed");
  await ear.until(() => ear.hasEnded);
  assert.equal(ear.end?.error, undefined);
  assert.throws(() => wire.send(2, utf8("hi")), BrokenError);
});

test("both sides prove the secret, or there is no wire", { timeout }, async () => {
  const secret = "realm secret";
  for (const theirs of [secret, "another secret"]) {
    const address = await listener(async (far, next) => {
      const hello = parseStep(decode(await next()).data);
      assert.ok(hello.case === "hello");
      far.send(step({ case: "challenge", value: { ...CHALLENGE, proofRequired: true } }));
      const proof = parseStep(decode(await next()).data);
      const nonces = { diallerNonce: hello.value.nonce, listenerNonce: CHALLENGE.nonce };
      const ends = { dialler: ALICE, listener: BOB, ...nonces, tlsKey: new Uint8Array() };
      const expected = await makeMac(webCrypto, utf8(secret), "dialler", ends);
      assert.ok(proof.case === "proof");
      assert.deepEqual(proof.value.mac, expected);
      const mac = await makeMac(webCrypto, utf8(theirs), "listener", ends);
      far.send(step({ case: "welcome", value: { mac } }));
    });
    if (theirs === secret) {
      (await dial(address, secret)).close();
    } else {
      await assert.rejects(dial(address, secret), /does not prove that it has the realm secret/);
    }
  }
});

test("a listener that refuses, or is none, is not reached", { timeout }, async () => {
  const refusing = await listener(async (far, next) => {
    await next();
    far.send(step({ case: "welcome", value: { error: { code: 5, message: "not here" } } }));
    far.close(4404, "not here");
  });
  await assert.rejects(dial(refusing), (error) => error instanceof UnreachableError && error.why === "not here");
  const closing = await listener(async (far) => far.close(4403, "no"));
  await assert.rejects(dial(closing), /refused with 4403 no/);
  await assert.rejects(dial("ws://127.0.0.1:9/v1/wire"), UnreachableError);
  const odd = ["http://a:1/", "ws://u@a:1/v1/wire", "ws://a:1/v1/wire?x", "ws://a:1/other", "nonsense", ""];
  for (const address of odd) {
    await assert.rejects(dial(address), /its address is not/);
  }
});

test("a far side that breaks the rules is told so, and the wire ends", { timeout }, async () => {
  const breaches: [string | Uint8Array, number][] = [
    [encode(9, utf8("x")), 4400],
    [encode(HANDSHAKE, utf8("x")), 4400],
    ["text", 4400],
    [new Uint8Array([1, 0, 0]), 4400],
    [new Uint8Array(262_150), 4413],
  ];
  for (const [breach, code] of breaches) {
    let closed!: Promise<number>;
    const address = await listener(async (far, next) => {
      closed = once(far, "close").then(([said]) => said);
      await greet(far, next);
      far.send(breach);
    });
    const [wire, ear] = [await dial(address), new Ear()];
    wire.attach(ear);
    await ear.until(() => ear.end !== undefined);
    assert.ok(ear.end?.error instanceof RemoteProtocolError || ear.end?.error instanceof LimitError);
    assert.equal(await closed, code);
  }
});

test("a clean close is one, a cut is none", { timeout }, async () => {
  for (const [end, isClean] of [[(far: WebSocket) => far.close(1001), true], [(far: WebSocket) => far.terminate(), false]] as const) {
    const address = await listener(async (far, next) => {
      await greet(far, next);
      await next();
      end(far);
    });
    const [wire, ear] = [await dial(address), new Ear()];
    wire.attach(ear);
    wire.send(0, utf8("go"));
    await ear.until(() => ear.end !== undefined);
    assert.equal(ear.end?.error === undefined, isClean);
  }
});

test("a wire that is full says when it is not", { timeout }, async () => {
  let release = () => {};
  const address = await listener(async (far, next) => {
    await greet(far, next);
    far.pause();
    release = () => far.resume();
  });
  const [wire, ear] = [await dial(address), new Ear()];
  wire.attach(ear);
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (let sent = 0; !wire.isFull && sent < 2000; sent++) {
    wire.send(2, new Uint8Array(80_000));
  }
  assert.ok(wire.isFull && wire.bufferedBytes > 0);
  release();
  await ear.until(() => !wire.isFull);
  assert.equal(ear.end, undefined);
  wire.close();
});

test("where there is no connection a page is told of the setting that may keep it out", { timeout }, async () => {
  const why = async () => {
    const failed = await dial("ws://127.0.0.1:9").catch((error: unknown) => error);
    assert.ok(failed instanceof UnreachableError);
    return failed.why;
  };
  assert.equal(await why(), "no connection: nobody listens at its address");
  Object.assign(globalThis, { location: { origin: "https://page.example" } });
  after(() => Reflect.deleteProperty(globalThis, "location"));
  assert.match(await why(), /does not allow pages of https:\/\/page\.example \(wires\.allowed_origins\)/);

  const lost = await listener(async (far) => far.terminate());
  await assert.rejects(dial(lost), (error) => {
    return error instanceof UnreachableError && error.why === "the connection was lost in the handshake";
  });
});
