// The certificates of an open wire, and those whose signature was checked before.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CertificateError, RemoteProtocolError } from "../../../src/errors";
import { fromUtf8, utf8 } from "../../../src/protocol/bytes";
import { readCertificate } from "../../../src/protocol/identity/certificates";
import { ActrId } from "../../../src/protocol/identity/ids";
import { Renewals } from "../../../src/protocol/identity/renewals";
import { Revoked } from "../../../src/protocol/identity/revoked";
import { Verified } from "../../../src/protocol/identity/verified";
import { readRenewal, writeRenewal } from "../../../src/protocol/websocket/renewals";
import { webCrypto } from "../../../src/wire/crypto";
import { Issuer } from "../../kit/issuer";

const NOW = 1_800_000_000;
const ALICE = new ActrId("acme", "chat", "alice");
const BOB = new ActrId("acme", "chat", "bob");

async function open() {
  const issuer = await Issuer.make(NOW);
  const [own, far] = [await issuer.enrol(ALICE), await issuer.enrol(BOB)];
  const shown = readCertificate(utf8(far.identity.certificate));
  return { issuer, own, far, renewals: new Renewals(own, BOB, shown, NOW, own.identity.certificate) };
}

test("the next certificate of the same key is taken, others are not", async () => {
  const { issuer, far, renewals } = await open();
  issuer.now += 600;
  const next = await issuer.issue(BOB, far.identity.raw);
  await renewals.take(utf8(next), issuer.now);
  assert.equal(renewals.far.text, next);
  const foreign = [(await issuer.enrol(BOB)).identity.certificate, await issuer.issue(ALICE, far.identity.raw)];
  for (const certificate of foreign) {
    await assert.rejects(renewals.take(utf8(certificate), issuer.now), RemoteProtocolError);
  }
  await assert.rejects(renewals.take(utf8("a.b.c"), issuer.now), CertificateError);
  assert.equal(renewals.far.text, next);
});

test("a far side may send eight at once, and then one in a second", async () => {
  const { far, renewals } = await open();
  const again = utf8(far.identity.certificate);
  for (let count = 0; count < 8; count++) {
    await renewals.take(again, NOW);
  }
  await renewals.take(again, NOW + 1);
  await assert.rejects(renewals.take(again, NOW + 1), /over 8 certificates/);
});

test("the own next one is sent once, and a wire whose far side sends none ends", async () => {
  const { own, renewals, issuer } = await open();
  assert.equal(renewals.due(NOW), 30);
  assert.equal(renewals.step(NOW + 30).length, 0);
  own.identity.certificate = await issuer.issue(ALICE, own.identity.raw, "acme:chat@*");
  assert.equal(renewals.step(NOW + 40).length, 0, "looked too soon");
  assert.equal(fromUtf8(renewals.step(NOW + 60)), own.identity.certificate);
  assert.equal(renewals.step(NOW + 90).length, 0, "sent twice");
  renewals.step(NOW + 959);
  assert.throws(() => renewals.step(NOW + 960), CertificateError);
});

test("on a WebSocket it goes as a step of the handshake", () => {
  assert.equal(fromUtf8(readRenewal(writeRenewal(utf8("text")))), "text");
  assert.throws(() => readRenewal(utf8("")), /after its end/);
  assert.throws(() => readRenewal(new Uint8Array([255])), /cannot be decoded/);
});

test("a signature is checked once; time, keys and what is revoked each time", async () => {
  const { far, issuer } = await open();
  let checks = 0;
  const counting = { ...webCrypto, verify: (...all: Parameters<typeof webCrypto.verify>) => (checks++, webCrypto.verify(...all)) };
  const verified = new Verified(counting, 2 * far.identity.certificate.length);
  const data = utf8(far.identity.certificate);
  const nothing = new Revoked();
  const at = (now: number, keys = issuer.keys, revoked = nothing) =>
    verified.verify(data, keys, revoked, () => now);
  assert.equal((await at(NOW)).text, far.identity.certificate);
  assert.equal((await at(NOW + 1)).text, far.identity.certificate);
  assert.equal(checks, 1);
  await assert.rejects(at(NOW + 960), /ended/);
  await assert.rejects(at(NOW, new Map()), /not among those known/);
  await assert.rejects(at(NOW, issuer.keys, new Revoked([far.identity.raw])), /revoked/);
  await assert.rejects(at(NOW, issuer.keys, new Revoked([], new Set(["c1"]))), /revoked/);
  for (const name of ["x", "y", "z"]) {
    const other = await issuer.enrol(new ActrId("acme", "chat", name));
    await verified.verify(utf8(other.identity.certificate), issuer.keys, nothing, () => NOW);
  }
  assert.equal(verified.size, 2);
  await assert.rejects(verified.verify(utf8("x".repeat(9000)), issuer.keys, nothing, () => NOW), CertificateError);
});
