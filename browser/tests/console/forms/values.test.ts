// A form and its JSON are the same value: what is typed, what is wrong, what is over a bound.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createFileRegistry, type DescMessage, equals, fromBinary, fromJson, type Message, toBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";

import { addEntry, addItem, type Choice, choose, draftOf, type Entries, type Group, type Leaf, type List, MAX_DEPTH, MAX_ITEMS, type Member, set, type Single, type Value } from "../../../console/forms/draft";
import { draftOfText, messageOfText, write } from "../../../console/forms/values";
import { EverythingSchema, file_wide } from "../../gen/wide_pb";

const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files() }));
const Everything = registry.getMessage("wide.Everything")!;

/** The file and all that it imports, as an actor tells them. */
function files() {
  const found = new Map([...file_wide.dependencies, file_wide].map((each) => [each.proto.name, each.proto]));
  for (const each of file_wide.dependencies) {
    for (const below of each.dependencies) {
      found.set(below.proto.name, below.proto);
    }
  }
  return [...found.values()];
}

function group(value: Value): Group {
  assert.equal(value.is, "group");
  return value as Group;
}

function member<M extends Member["is"]>(value: Value, name: string, is: M): Extract<Member, { is: M }> {
  const found = group(value).members.find((each) => (each.is === "choice" ? each.oneof.name : each.field.name) === name);
  assert.equal(found?.is, is, name);
  return found as Extract<Member, { is: M }>;
}

function leafOf(value: Value, name: string): Leaf {
  const found = member(value, name, "single") as Single;
  set(found, true);
  assert.equal(found.value?.is, "leaf", name);
  return found.value as Leaf;
}

function type(value: Value, texts: Record<string, string>): void {
  for (const [name, text] of Object.entries(texts)) {
    leafOf(value, name).text = text;
  }
}

function faultsOf(texts: Record<string, string>): string[] {
  const draft = draftOf(Everything);
  type(draft, texts);
  const { faults, message } = write(Everything, draft, registry);
  assert.equal(message === undefined, faults.places.size > 0 || faults.whole !== "");
  return [...faults.places.values(), faults.whole].filter((text) => text !== "");
}

test("an empty form is an empty message", () => {
  const { json, message } = write(Everything, draftOf(Everything), registry);
  assert.deepEqual({ ...(json as object) }, {});
  assert.deepEqual(toBinary(Everything, message!), new Uint8Array(0));
});

test("each kind of field is written as it is typed", () => {
  const draft = draftOf(Everything);
  type(draft, {
    text: "<b>ä</b>", small: "-7", large: "18446744073709551615", signed: "-9223372036854775808", real: "1e300",
    single: "NaN", flag: "true", data: "AAEC", colour: "GREEN", maybe: "", at: "2026-01-31T12:00:00Z", lasts: "1.5s",
    anything: '{"a": [1, null]}', wrapped: "18446744073709551615",
  });
  const numbers = member(draft, "numbers", "list") as List;
  for (const text of ["1", "4294967295"]) {
    addItem(numbers);
    (numbers.items.at(-1) as Leaf).text = text;
  }
  const counts = member(draft, "counts", "map") as Entries;
  addEntry(counts);
  counts.entries[0]!.key.text = "__proto__";
  (counts.entries[0]!.value as Leaf).text = "5";
  const choice = member(draft, "choice", "choice") as Choice;
  choose(choice, "id");
  (choice.chosen!.value as Leaf).text = "0";
  const inner = member(draft, "inner", "single") as Single;
  set(inner, true);
  type(inner.value!, { word: "w" });

  const { json, faults, message } = write(Everything, draft, registry);
  assert.deepEqual([...faults.places.values(), faults.whole], [""]);
  const read = fromBinary(EverythingSchema, toBinary(Everything, message!));
  assert.deepEqual(
    [read.text, read.small, read.large, read.signed, read.real, read.single, read.flag, read.colour, read.maybe],
    ["<b>ä</b>", -7, 2n ** 64n - 1n, -(2n ** 63n), 1e300, NaN, true, 2, ""],
  );
  assert.deepEqual([[...read.data], read.numbers, read.wrapped], [[0, 1, 2], [1, 2 ** 32 - 1], 2n ** 64n - 1n]);
  assert.deepEqual(read.choice, { case: "id", value: 0n });
  assert.deepEqual([read.inner?.word, read.lasts?.nanos, read.anything], ["w", 500_000_000, { a: [1, null] }]);
  assert.deepEqual(Object.entries(read.counts), [["__proto__", 5n]]);
  assert.deepEqual(Object.keys(json as object).includes("maybe"), true);
});

const WRONG: [texts: Record<string, string>, words: RegExp][] = [
  [{ small: "2147483648" }, /^from -2147483648 to 2147483647$/],
  [{ small: "1.5" }, /^a whole number/],
  [{ large: "-1" }, /^from 0 to 18446744073709551615$/],
  [{ large: "1e5" }, /^a whole number/],
  [{ real: "abc" }, /^a number/],
  [{ single: "1e39" }, /too large for a float/],
  [{ data: "A" }, /^base64$/],
  [{ data: "%%%%" }, /^base64$/],
  [{ at: "yesterday" }, /for example 2026/],
  [{ lasts: "1.5" }, /for example 1\.5s/],
  [{ anything: "{" }, /^JSON/],
  [{ anything: "[1]" }, /Struct/],
  [{ wrapped: "" }, /leave it out/],
  [{ colour: "BLUE" }, /a name of the list/],
];

for (const [texts, words] of WRONG) {
  test(`a wrong text is told at its place: ${JSON.stringify(texts)}`, () => {
    const faults = faultsOf(texts);
    assert.equal(faults.length, 1);
    assert.match(faults[0]!, words);
  });
}

test("two keys of a map that are the same are told at the second", () => {
  const draft = draftOf(Everything);
  const map = member(draft, "by_number", "map") as Entries;
  for (const text of ["7", "7"]) {
    addEntry(map);
    map.entries.at(-1)!.key.text = text;
  }
  const { faults } = write(Everything, draft, registry);
  assert.deepEqual([...faults.places], [[map.entries[1]!.key, "another key: this one is there already"]]);
});

test("what is wrong in the form is in its JSON as it was typed, and is refused there too", () => {
  const draft = draftOf(Everything);
  type(draft, { small: "seven" });
  const { json } = write(Everything, draft, registry);
  assert.throws(() => messageOfText(Everything, JSON.stringify(json), registry), /small/);
});

const arbitrary = fc.record({
  text: fc.string(), small: fc.integer(), large: fc.bigInt(0n, 2n ** 64n - 1n).map(String), real: fc.double({ noNaN: true, noDefaultInfinity: true }),
  flag: fc.boolean(), maybe: fc.string(), colour: fc.constantFrom("RED", "GREEN", 77), data: fc.uint8Array().map((data) => Buffer.from(data).toString("base64")),
  numbers: fc.array(fc.nat(), { maxLength: 5 }), inners: fc.array(fc.record({ word: fc.string(), words: fc.array(fc.string(), { maxLength: 3 }) }), { maxLength: 3 }),
  counts: fc.dictionary(fc.string(), fc.maxSafeInteger().map(String), { maxKeys: 4 }), id: fc.maxSafeNat().map(String),
  at: fc.constant("2026-01-31T12:00:00Z"), again: fc.record({ again: fc.record({ text: fc.string() }) }), wrapped: fc.maxSafeNat().map(String),
}, { requiredKeys: [] });

test("a form that is made of JSON is the same message", () => {
  fc.assert(
    fc.property(arbitrary, (json) => {
      const text = JSON.stringify(json);
      const direct = messageOfText(Everything, text, registry);
      const { message } = write(Everything, draftOfText(Everything, text, registry), registry);
      assert.deepEqual(toBinary(Everything, message!), toBinary(Everything, direct));
    }),
  );
});

test("JSON that is no such message is told in words", () => {
  for (const [text, words] of [["{", /JSON|position/], ['{"no": 1}', /"no" is unknown/], ["[]", /Everything/], ['{"name": "a", "id": 1}', /oneof/]] as const) {
    assert.throws(() => draftOfText(Everything, text, registry), words);
  }
});

test("a message within itself ends in one place for JSON, and is the same there", () => {
  let json: object = { text: "end" };
  for (let depth = 0; depth < MAX_DEPTH + 3; depth++) {
    json = { again: json };
  }
  const draft = draftOfText(Everything, JSON.stringify(json), registry);
  let [at, depth] = [draft, 0];
  while (at.is === "group") {
    at = (member(at, "again", "single") as Single).value!;
    depth += 1;
  }
  assert.equal(depth, MAX_DEPTH);
  assert.match(at.text, /"end"/);
  const { message } = write(Everything, draft, registry);
  assert.ok(equals(Everything as DescMessage, message as Message, fromJson(Everything, json as never)));
});

test("a list that is over its bound is not shown as a form", () => {
  const list = { numbers: Array.from({ length: MAX_ITEMS + 1 }, (_, at) => at) };
  assert.throws(() => draftOfText(Everything, JSON.stringify(list), registry), /numbers has more items/);
  const many = { inners: Array.from({ length: MAX_ITEMS }, () => ({ words: Array.from({ length: 50 }, () => "w") })) };
  assert.throws(() => draftOfText(Everything, JSON.stringify(many), registry), /at most 2000 places/);
  const draft = draftOf(Everything);
  const numbers = member(draft, "numbers", "list") as List;
  for (let count = 0; count < MAX_ITEMS; count++) {
    assert.ok(addItem(numbers));
  }
  assert.ok(!addItem(numbers));
});

test("a message that is one of Google's is one place", () => {
  const wrapper = registry.getMessage("google.protobuf.UInt64Value")!;
  const draft = draftOf(wrapper);
  assert.equal(draft.is, "leaf");
  (draft as Leaf).text = "12";
  const { message } = write(wrapper, draft, registry);
  assert.equal(toJson(wrapper, message!), "12");
});
