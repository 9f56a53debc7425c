// How a WebSocket wire begins, as proto/vectors/handshakes.json has it: the dialler's side.

import assert from "node:assert/strict";

import { PeerError } from "../../../src/errors";
import type { Certified } from "../../../src/protocol/identity/identity";
import { ActrId } from "../../../src/protocol/identity/ids";
import { DiallerHandshake } from "../../../src/protocol/websocket/handshake";
import { boundNonce } from "../../../src/protocol/websocket/proofs";
import { webCrypto } from "../../../src/wire/crypto";
import { certified } from "../../kit/identities";
import type { Vector } from "../../kit/vectors";
import { each, hex, unhex } from "../../kit/vectors";

function dialler(vector: Vector, own?: Certified): DiallerHandshake {
  return new DiallerHandshake({
    primitives: webCrypto,
    local: ActrId.parse(vector["dialler"]),
    remote: ActrId.parse(vector["listener"]),
    nonce: unhex(vector["dialler_nonce"]),
    secret: unhex(vector["secret"] ?? ""),
    certified: own,
  });
}

async function sealedDialler(vector: Vector): Promise<DiallerHandshake> {
  const here = dialler(vector, await certified(vector, "dialler"));
  await here.sealed(unhex(vector["tls_key"]));
  return here;
}

async function plays(here: DiallerHandshake, vector: Vector): Promise<void> {
  assert.equal(hex(here.start()), vector["hello"]);
  const reply = await here.receive(unhex(vector["challenge"]));
  assert.ok(reply.kind === "reply");
  assert.equal(hex(reply.step), vector["proof"]);
  const last = await here.receive(unhex(vector["welcome"]));
  assert.ok(last.kind === "accepted");
  assert.equal(last.remote.text, vector["listener"]);
  assert.equal(last.messageBytes, vector["wire_message_bytes"] ?? 81920);
  assert.equal(last.certificate?.text, vector["listener_certificate"]);
}

async function givesUp(here: DiallerHandshake, vector: Vector): Promise<void> {
  here.start();
  const steps: string[] = vector["steps"];
  for (const step of steps.slice(0, -1)) {
    await here.receive(unhex(step));
  }
  const isIt = (error: unknown) => error instanceof PeerError && error.message.includes(vector["error"]);
  await assert.rejects(here.receive(unhex(steps.at(-1)!)), isIt);
  await assert.rejects(here.receive(unhex(steps.at(-1)!)), PeerError, "it goes on after its end");
}

each("handshakes", "steps", "each step is the answer to the one before", (vector) =>
  plays(dialler(vector), vector),
);

each("handshakes", "refused_listeners", "a dialler gives up at the last step", (vector) =>
  givesUp(dialler(vector), vector),
);

each("handshakes", "certified_steps", "so it is with certificates", async (vector) =>
  plays(await sealedDialler(vector), vector),
);

each("handshakes", "bound_steps", "a proof that goes with the hello is answered with it", async (vector) => {
  const binding = unhex(vector["binding"]);
  assert.equal(hex(await boundNonce(webCrypto, binding)), vector["listener_nonce"]);
  const here = dialler(vector, await certified(vector, "dialler"));
  assert.equal(hex(await here.sealed(unhex(vector["tls_key"]), binding)), vector["proof"]);
  assert.equal(hex(here.start()), vector["hello"]);
  const reply = await here.receive(unhex(vector["challenge"]));
  assert.deepEqual(reply, { kind: "reply", step: new Uint8Array() });
  const last = await here.receive(unhex(vector["welcome"]));
  assert.equal(last.kind, "accepted");
});

each("handshakes", "refused_certified_listeners", "who requires a certificate gives up", async (vector) =>
  givesUp(await sealedDialler(vector), vector),
);
