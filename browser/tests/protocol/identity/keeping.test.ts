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
  assert.ok(keeping.wait(NOW, 7) <= 0 && !keeping.lives(NOW), "asked at once where there is none");
  keeping.given(certificate, 7, 0.5);
  assert.equal(keeping.wait(NOW, 7), 555);
  assert.ok(keeping.lives(NOW + 899) && !keeping.lives(NOW + 900));
  assert.equal(keeping.left(NOW + 700), 200);
});

test("one whose renewal is past is renewed soon, and not at once again and again", async () => {
  const keeping = new Keeping();
  keeping.given(await given(), 7, 0);
  assert.equal(keeping.wait(NOW + 800, 7), 1);
});

test("an issuer that is away is asked later each time, and takes nothing away", async () => {
  const keeping = new Keeping();
  const certificate = await given();
  keeping.given(certificate, 7, 0);
  const wait = () => keeping.wait(NOW + 600, 607);
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) {
    keeping.away(607, 1);
    waits.push(wait());
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.ok(keeping.certificate === certificate && keeping.lives(NOW + 600));
  keeping.away(607, 0, 90);
  assert.equal(wait(), 90);
  keeping.away(607, 0, 1e9);
  assert.equal(wait(), 300, "for no longer than a refusal");
  keeping.hurry();
  assert.ok(wait() <= 0);
  keeping.given(certificate, 609, 0);
  keeping.away(610, 1);
  assert.equal(keeping.wait(NOW + 603, 610), 1, "it begins anew");
});

test("an issuer that says no is asked again in five minutes, or when somebody has done something", async () => {
  const keeping = new Keeping();
  keeping.given(await given(), 7, 0);
  keeping.refused(607);
  assert.equal(keeping.wait(NOW + 600, 607), 300);
  assert.ok(keeping.lives(NOW + 600));
  keeping.hurry();
  assert.ok(keeping.wait(NOW + 650, 657) <= 0);
});

test("a wait is as long as it is, whatever the time was thought to be meanwhile", async () => {
  for (const later of [0, 36_000, -36_000]) {
    const keeping = new Keeping();
    keeping.refused(607);
    assert.equal(keeping.wait(NOW + later, 627), 280);
    keeping.away(607, 1);
    assert.equal(keeping.wait(NOW + later, 607), 1);
  }
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
