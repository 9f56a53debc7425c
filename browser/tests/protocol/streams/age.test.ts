// The age of latency-first items, by two clocks that agree on nothing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../src/protocol/streams/age";

function age(clock: Clock, sent: number, came: number): number {
  return came - clock.sentAt(Math.floor((sent + 987_655) * 1e6), came);
}

function isAbout(actual: number, expected: number, by = 1e-3): void {
  assert.ok(Math.abs(actual - expected) <= by, `${actual} is not about ${expected}`);
}

test("the first item counts as fresh, and what waited beyond the quickest has that age", () => {
  const clock = new Clock();
  isAbout(age(clock, 1, 1.02), 0);
  isAbout(age(clock, 2, 5.02), 3);
  isAbout(age(clock, 5.1, 5.12), 0);
});

test("a quicker item corrects what counted as fresh", () => {
  const clock = new Clock();
  age(clock, 1, 1.5);
  isAbout(age(clock, 1.6, 1.61), 0);
  isAbout(age(clock, 1.7, 2.2), 0.49);
});

test("a way that became longer is no age any more after two spans", () => {
  const clock = new Clock();
  age(clock, 0, 0.01);
  const ages = Array.from({ length: 124 }, (_, at) => age(clock, at / 10, at / 10 + 0.3));
  assert.ok(ages[0]! > 0.1 && ages.at(-1)! < 0.1);
});
