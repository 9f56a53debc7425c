// Proofs of the realm secret, and signatures, as proto/vectors/proofs.json has them.

import assert from "node:assert/strict";

import { verifyCertificate } from "../../../src/protocol/identity/certificates";
import { DescriptionError, Statements } from "../../../src/protocol/identity/descriptions";
import type { Identity } from "../../../src/protocol/identity/identity";
import { ActrId } from "../../../src/protocol/identity/ids";
import { isSigned, signedText } from "../../../src/protocol/identity/signatures";
import { read, write } from "../../../src/protocol/protobuf";
import { makeMac as makeSignalingMac } from "../../../src/protocol/signaling/proofs";
import { packNegotiate, unpackNegotiate } from "../../../src/protocol/webrtc/messages";
import type { NegotiateMessage } from "../../../src/protocol/webrtc/negotiation";
import { NEGOTIATE } from "../../../src/protocol/webrtc/tables";
import type { Side } from "../../../src/protocol/websocket/proofs";
import { makeMac } from "../../../src/protocol/websocket/proofs";
import { webCrypto } from "../../../src/wire/crypto";
import { holder, keysOf } from "../../kit/identities";
import type { Vector } from "../../kit/vectors";
import { each, hex, unhex } from "../../kit/vectors";

each("proofs", "signaling", "the proof that signaling asks for is made", async (vector) => {
  const { secret, server_id, nonce, id, mac } = vector;
  assert.equal(hex(await makeSignalingMac(webCrypto, unhex(secret), server_id, unhex(nonce), id)), mac);
});

each("proofs", "wire", "both proofs of a wire are made", async (vector) => {
  const ends = {
    dialler: ActrId.parse(vector["dialler"]),
    listener: ActrId.parse(vector["listener"]),
    diallerNonce: unhex(vector["dialler_nonce"]),
    listenerNonce: unhex(vector["listener_nonce"]),
    tlsKey: new Uint8Array(),
  };
  const sides: [Side, string][] = [["dialler", "proof"], ["listener", "welcome"]];
  for (const [side, name] of sides) {
    const mac = await makeMac(webCrypto, unhex(vector["secret"]), side, ends);
    assert.equal(hex(mac), vector[name]);
  }
});

each("proofs", "signatures", "a key signs a label and parts", async (vector) => {
  const { label, seed } = vector;
  const parts = vector["parts"].map(unhex);
  const text = signedText(label, ...parts);
  assert.equal(hex(text), vector["text"]);
  const signature = await (await holder(seed, "")).sign(text);
  assert.equal(hex(signature), vector["signature"]);
  assert.ok(await isSigned(webCrypto, unhex(vector["key"]), signature, label, ...parts));
});

each("proofs", "refused_signatures", "what the key did not sign is refused", async (vector) => {
  const { key, signature, label, parts } = vector;
  assert.equal(
    await isSigned(webCrypto, unhex(key), unhex(signature), label, ...parts.map(unhex)),
    false,
  );
});

/** One actor's, which believes the vector's issuer at the vector's time. */
function believing(vector: Vector, who: string, incarnation: number, identity: Identity): Statements {
  const keys = keysOf(vector["issuer_keys"]);
  return new Statements(ActrId.parse(who), BigInt(incarnation), {
    primitives: webCrypto,
    identity,
    believe: (data) => verifyCertificate(webCrypto, data, keys, vector["now"]),
    isRequired: true,
  });
}

each("proofs", "descriptions", "an offer and its answer are signed and taken", async (vector) => {
  const sideOf = async (side: string) => {
    const own = await holder(vector[`${side}_seed`], vector[`${side}_certificate`]);
    const id = ActrId.parse(vector[side]);
    const incarnation: number = vector[`${side}_incarnation`];
    return { id, incarnation, statements: believing(vector, vector[side], incarnation, own) };
  };
  const sides = [await sideOf("offerer"), await sideOf("answerer")] as const;
  let now: number = vector["now"];
  for (const kind of ["offer", "answer"] as const) {
    const [by, to] = kind === "offer" ? sides : [sides[1], sides[0]];
    const { connection_id: connectionId, exchange } = vector;
    const body = { kind, sdp: vector[`${kind}_sdp`], trackIds: vector[`${kind}_tracks`] };
    const message: NegotiateMessage = { connectionId, exchange, body };
    const signed = await by.statements.sign(to.id, message, now, BigInt(to.incarnation));
    assert.equal(hex(signed.proof!.statement), vector[`${kind}_statement`]);
    assert.equal(hex(signed.proof!.signature), vector[`${kind}_signature`]);
    const packed = read(NEGOTIATE, unhex(vector[kind]));
    assert.equal(hex(write(NEGOTIATE, packNegotiate(signed))), vector[kind]);
    assert.deepEqual(unpackNegotiate(packed), signed);
    await to.statements.check(by.id, unpackNegotiate(packed), now, kind === "answer");
    now += 1;
  }
});

each("proofs", "refused_descriptions", "a description is dropped for this fault", async (vector) => {
  const own = await holder("00".repeat(32), "");
  const receiver = believing(vector, vector["receiver"], vector["receiver_incarnation"], own);
  const message = unpackNegotiate(read(NEGOTIATE, unhex(vector["negotiate"])));
  const sender = ActrId.parse(vector["sender"]);
  const isIt = (error: unknown) => error instanceof DescriptionError && error.fault === vector["fault"];
  await assert.rejects(receiver.check(sender, message, vector["now"], false), isIt);
});
