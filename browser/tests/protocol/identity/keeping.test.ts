// When a certificate is renewed, and what becomes of it while there is no other.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Keeping, renewal } from "../../../src/protocol/identity/keeping";
import { readCertificate } from "../../../src/protocol/identity/certificates";
import { ActrId } from "../../../src/protocol/identity/ids";
import { utf8 } from "../../../src/protocol/bytes";
import { IssuerClock } from "../../../src/wire/identity/clock";
import { Issuer } from "../../kit/issuer";

const NOW = 1_800_000_000;

async function given(at = NOW) {
  const holder = await (await Issuer.make(at)).enrol(new ActrId("acme", "page", "1"));
  return readCertificate(utf8(holder.identity.certificate)); // of 900 s
}

test("it is renewed at two thirds of its life, or up to a tenth earlier", async () => {
  const certificate = await given();
  assert.equal(renewal(certificate, 0), NOW + 600);
  assert.equal(renewal(certificate, 1), NOW + 510);
  const keeping = new Keeping();
  assert.ok(keeping.at <= NOW && !keeping.lives(NOW), "asked at once where there is none");
  keeping.given(certificate, NOW, 0.5);
  assert.equal(keeping.at, NOW + 555);
  assert.ok(keeping.lives(NOW + 899) && !keeping.lives(NOW + 900));
  assert.equal(keeping.left(NOW + 700), 200);
});

test("one whose renewal is past is renewed soon, and not at once again and again", async () => {
  const keeping = new Keeping();
  keeping.given(await given(), NOW + 800, 0);
  assert.equal(keeping.at, NOW + 801);
});

test("an issuer that is away is asked later each time, and takes nothing away", async () => {
  const keeping = new Keeping();
  const certificate = await given();
  keeping.given(certificate, NOW, 0);
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) {
    keeping.away(NOW + 600, 1);
    waits.push(keeping.at - NOW - 600);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.ok(keeping.certificate === certificate && keeping.lives(NOW + 600));
  keeping.away(NOW + 600, 0, 90);
  assert.equal(keeping.at, NOW + 690);
  keeping.away(NOW + 600, 0, 1e9);
  assert.equal(keeping.at, NOW + 900, "for no longer than a refusal");
  keeping.hurry(NOW + 601);
  assert.equal(keeping.at, NOW + 601);
  keeping.given(certificate, NOW + 602, 0);
  keeping.away(NOW + 603, 1);
  assert.equal(keeping.at, NOW + 604, "it begins anew");
});

test("an issuer that says no is asked again in five minutes, or when somebody has done something", async () => {
  const keeping = new Keeping();
  keeping.given(await given(), NOW, 0);
  keeping.refused(NOW + 600);
  assert.equal(keeping.at, NOW + 900);
  assert.ok(keeping.lives(NOW + 600));
  keeping.hurry(NOW + 650);
  assert.equal(keeping.at, NOW + 650);
  keeping.hurry(NOW + 700);
  assert.equal(keeping.at, NOW + 650);
});

test("the issuer's time is taken where this device's cannot be right", () => {
  let [wall, steady] = [NOW, 7];
  const clock = new IssuerClock(() => wall, () => steady);
  clock.learn(NOW, NOW, NOW + 0.4); // in the second that it names
  assert.equal(clock.now(), NOW);
  clock.learn(NOW + 500, NOW, NOW + 1);
  assert.equal(clock.now(), NOW + 500, "made between question and answer");
  wall += 3600; // the device has slept, or somebody has set its clock
  assert.deepEqual([clock.now(), clock.latest()], [NOW + 500, NOW + 4100]);
  steady += 3600;
  assert.deepEqual([clock.now(), clock.latest()], [NOW + 4100, NOW + 4100]);
});
