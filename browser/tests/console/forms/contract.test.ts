// What an actor tells of its contract is a stranger's word: each way in which it is wrong is one error.

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { LimitError, RemoteProtocolError } from "actr";

import { DescriptionSchema } from "../../../console/gen/actr/services/reflection_pb";
import { MAX_BYTES, MAX_METHODS, MAX_WORD_BYTES, MAX_WORDS, readContract } from "../../../console/forms/contract";
import { MAX_ELEMENTS, MAX_LETTERS, MAX_LOCATIONS, MAX_MESSAGES } from "../../../console/forms/files";
import { addItem, draftOf, type Group, type List, MAX_FIELDS, MAX_ITEMS, MAX_PLACES, set, type Single, type Value } from "../../../console/forms/draft";
import { write } from "../../../console/forms/values";

type File = MessageInitShape<typeof FileDescriptorProtoSchema>;
type Word = MessageInitShape<typeof DescriptionSchema>;

const file = (init: File): Word => ({
  word: { case: "file", value: toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, { syntax: "proto3", ...init })) },
});
const service = (method: object, name = "a.S"): Word => ({ word: { case: "service", value: { name, methods: [method] } } });
const UNARY = { name: "M", request: "a.A", reply: "a.A" };
const A = { name: "A" };

async function* words(...told: Word[]) {
  for (const word of told) {
    yield toBinary(DescriptionSchema, create(DescriptionSchema, word));
  }
}

const read = (...told: Word[]) => readContract(words(...told));

test("bytes that are no word of a contract are refused in words", async () => {
  const bytes = async function* (...data: number[]) {
    yield Uint8Array.from(data);
  };
  await assert.rejects(readContract(bytes(0x0a, 9)), RemoteProtocolError);
  const tooLong = [0x20, ...new Array(10).fill(0x80), 1]; // a number of more bytes than there are
  await assert.rejects(readContract(bytes(0x0a, 14, 0x1a, 12, ...tooLong)), RemoteProtocolError);
});

test("services, methods, lanes and comments are read", async () => {
  const sourceCodeInfo = { location: [{ path: [6, 0], leadingComments: " Of S.\n" }, { path: [6, 0, 2, 0], leadingComments: " Of\n  M. " }] };
  const declared = [{ name: "S", method: [{ name: "M", inputType: ".a.A", outputType: ".a.A" }] }];
  const { services } = await read(
    service({ ...UNARY, payloadType: 1, handlerTimeoutMs: 1500, isIdempotent: true, requires: ["role"] }),
    file({ name: "a.proto", package: "a", messageType: [A], service: declared, sourceCodeInfo }),
  );
  const [found] = services;
  assert.equal(found?.comment, "Of S.");
  const [method] = found!.methods;
  assert.deepEqual(
    [method?.routeKey, method?.kind, method?.payloadType, method?.comment, method?.handlerTimeout, method?.isIdempotent, method?.requires],
    ["a.S.M", "unary", 1, "Of\nM.", 1.5, true, ["role"]],
  );
});

/** Files in which one thing has this name. */
function named(name: string): Record<string, File> {
  const inMessage = (init: NonNullable<File["messageType"]>[number]) => ({ messageType: [{ ...A, ...init }] });
  const extension = [{ name, number: 1, type: Type.STRING, label: Label.OPTIONAL, extendee: ".A" }];
  const value = [{ name: "V", number: 0 }];
  return {
    "package": { package: name },
    "message": { messageType: [{ name }] },
    "nested message": inMessage({ nestedType: [{ name }] }),
    "field": inMessage({ field: [{ name, number: 1, type: Type.STRING }] }),
    "field's JSON": inMessage({ field: [{ name: "f", jsonName: name, number: 1, type: Type.STRING }] }),
    "oneof": inMessage({ oneofDecl: [{ name }] }),
    "nested enum": inMessage({ enumType: [{ name, value }] }),
    "nested extension": inMessage({ extension }),
    "enum": { enumType: [{ name, value }] },
    "value of an enum": { enumType: [{ name: "E", value: [{ name, number: 0 }] }] },
    "extension": { messageType: [A], extension },
    "service": { service: [{ name }] },
    "method": { messageType: [A], service: [{ name: "S", method: [{ name, inputType: ".A", outputType: ".A" }] }] },
  };
}

const HOSTILE: Record<string, [told: Word[], words: RegExp]> = {
  "bytes that are no file": [[{ word: { case: "file", value: Uint8Array.of(255, 255) } }], /cannot be read/],
  "a file that imports what it does not tell": [[file({ name: "a.proto", dependency: ["gone.proto"] })], /gone\.proto/],
  "files that import each other": [[file({ name: "a.proto", dependency: ["b.proto"] }), file({ name: "b.proto", dependency: ["a.proto"] })], /descriptors are none/],
  "a field of a type that is not there": [[file({ name: "a.proto", messageType: [{ name: "A", field: [{ name: "f", number: 1, type: Type.MESSAGE, typeName: ".gone", label: Label.OPTIONAL }] }] })], /descriptors are none/],
  "a method without its messages": [[service(UNARY)], /without its message a\.A/],
  "a stream as a call": [[file({ name: "a.proto", package: "a", messageType: [A] }), service({ ...UNARY, repliesStream: true, payloadType: 0 })], /as no method can be/],
  "media as a stream": [[file({ name: "a.proto", package: "a", messageType: [A] }), service({ ...UNARY, repliesStream: true, payloadType: 4 })], /as no method can be/],
  "a name without an end": [[service(UNARY, "s".repeat(1000))], /name of 1000 letters/],
  ...Object.fromEntries(Object.entries(named("n".repeat(1000))).map(([what, init]) => [`a ${what} whose name has no end`, [[file({ name: "a.proto", ...init })], /of 1000 letters/]])),
  "a field without a name": [[file({ name: "a.proto", messageType: [{ name: "A", field: [{ name: "", number: 1 }] }] })], /name of 0 letters/],
  "an edition of the future": [[file({ name: "a.proto", syntax: "editions", edition: 2_147_483_647 as never })], /descriptors are none/],
};

for (const [what, [told, words]] of Object.entries(HOSTILE)) {
  test(`it is refused in words: ${what}`, async () => {
    await assert.rejects(read(...told), (error) => error instanceof RemoteProtocolError && words.test(error.message));
  });
}

function nested(depth: number): NonNullable<File["messageType"]>[number] {
  return depth === 0 ? A : { name: "A", nestedType: [nested(depth - 1)] };
}

/** A message within messages of long names. */
function deep(depth: number, message: ReturnType<typeof nested>): ReturnType<typeof nested> {
  return depth === 0 ? message : { name: "n".repeat(250), nestedType: [deep(depth - 1, message)] };
}

/** So many messages in a field, of two bytes each. */
const pairs = (tag: number, count: number) => Uint8Array.from({ length: 2 * count }, (_, at) => (at % 2 === 0 ? tag : 0));

const LARGE: Record<string, () => Word[]> = {
  "words": () => Array.from({ length: MAX_WORDS + 1 }, () => file({ name: "a.proto" })),
  "methods": () => Array.from({ length: MAX_METHODS + 1 }, () => service(UNARY)),
  "bytes of a contract": () => Array.from({ length: 5 }, () => file({ name: "a.proto", messageType: [{ name: "A", reservedName: ["n".repeat(MAX_BYTES / 4 - 100)] }] })),
  "bytes of one word": () => [{ word: { case: "file", value: new Uint8Array(MAX_WORD_BYTES) } }],
  "messages of a contract": () => [{ word: { case: "file", value: pairs(0x22, MAX_MESSAGES) } }],
  "messages of a contract, of its services": () => [{ word: { case: "service", value: { name: "a.S", methods: Array.from({ length: MAX_MESSAGES }, () => ({})) } } }],
  "elements": () => [file({ name: "a.proto", enumType: [{ name: "E", value: Array.from({ length: MAX_ELEMENTS }, (_, number) => ({ name: `V${number}`, number })) }] })],
  "elements of a contract": () => [file({ name: "a.proto", messageType: [A], service: [{ name: "S", method: Array.from({ length: MAX_ELEMENTS }, (_, at) => ({ name: `M${at}`, inputType: ".A", outputType: ".A" })) }] })],
  "letters": () => [file({ name: "a.proto", messageType: [deep(30, { name: "A", field: Array.from({ length: MAX_LETTERS / (30 * 250) }, (_, at) => ({ name: `f${at}`, number: at + 1, type: Type.STRING })) })] })],
  "messages within messages": () => [file({ name: "a.proto", messageType: [nested(40)] })],
};

for (const [what, told] of Object.entries(LARGE)) {
  test(`too many are refused before they are taken apart: ${what}`, async () => {
    await assert.rejects(read(...told()), (error) => error instanceof LimitError && error.what.includes(what.split(",")[0]!));
  });
}

test("of a file with more places than are left the comments are left out, and what is not known is not kept", async () => {
  const places = (count: number) => ({ location: Array.from({ length: count }, () => ({ path: [6, 0], leadingComments: "Of S." })) });
  const declared = [{ name: "S", method: [{ name: "M", inputType: ".a.A", outputType: ".a.A" }] }];
  const a = { name: "a.proto", package: "a", messageType: [A], service: declared };
  const b = { name: "b.proto", package: "b", messageType: [A], service: [{ name: "S" }], $unknown: [{ no: 1000, wireType: 0, data: Uint8Array.of(1) }] };
  const { services, registry } = await read(
    file({ ...a, sourceCodeInfo: places(MAX_LOCATIONS) }),
    file({ ...b, sourceCodeInfo: places(MAX_LOCATIONS - 2) }),
    service(UNARY),
    { word: { case: "service", value: { name: "b.S" } } },
  );
  assert.deepEqual(services.map(({ comment }) => comment), ["", "Of S."]);
  assert.equal(registry.getService("a.S")!.file.proto.sourceCodeInfo, undefined);
  assert.equal(registry.getService("b.S")!.file.proto.$unknown, undefined);
});

test("names that mean something to JavaScript are names", async () => {
  const hostile = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
  const field = hostile.map((name, at) => ({ name, jsonName: name, number: at + 1, type: Type.STRING, label: Label.OPTIONAL }));
  const { services, registry } = await read(
    file({ name: "a.proto", package: "a", messageType: [{ name: "A", field }] }),
    service(UNARY),
  );
  const { request } = services[0]!.methods[0]!;
  const draft = draftOf(request) as Group;
  for (const member of draft.members) {
    assert.ok(member.is === "single" && member.value?.is === "leaf");
    member.value.text = member.field.name;
  }
  const { message, faults } = write(request, draft, registry);
  assert.equal(faults.whole, "");
  const told = new TextDecoder().decode(toBinary(request, message!));
  for (const name of hostile) {
    assert.ok(told.includes(name), name);
  }
  assert.equal(({} as any).text, undefined);
});

test("a message of a thousand fields is one place for JSON", async () => {
  const field = Array.from({ length: MAX_FIELDS + 1 }, (_, at) => ({ name: `f${at}`, number: at + 1, type: Type.STRING, label: Label.OPTIONAL }));
  const { services } = await read(file({ name: "a.proto", package: "a", messageType: [{ name: "A", field }] }), service(UNARY));
  assert.equal(draftOf(services[0]!.methods[0]!.request).is, "leaf");
});

/** The message `a.A` of so many fields of its own type. */
async function itself(label: Label) {
  const field = Array.from({ length: MAX_FIELDS }, (_, at) => ({ name: `f${at}`, number: at + 1, type: Type.MESSAGE, typeName: ".a.A", label }));
  const { services, registry } = await read(file({ name: "a.proto", package: "a", syntax: "proto2", messageType: [{ name: "A", field }] }), service(UNARY));
  return { desc: services[0]!.methods[0]!.request, registry };
}

/** Members of a whole form. */
function members(value: Value): number {
  const below = value.is === "leaf" ? [] : value.members;
  const values = below.flatMap((member) => (member.is === "single" ? (member.value ?? []) : (member as List).items));
  return below.length + values.reduce((sum, each) => sum + members(each), 0);
}

test("a message that requires itself a hundred times is no form without an end, and is not sent without them", async () => {
  const { desc, registry } = await itself(Label.REQUIRED);
  const draft = draftOf(desc) as Group;
  assert.equal(members(draft), MAX_FIELDS);
  assert.ok(draft.members.every((member) => member.is === "single" && member.isOptional && !member.isSet));
  const { message, faults } = write(desc, draft, registry);
  assert.deepEqual([message, /required/.test(faults.whole)], [undefined, true]);
  set(draft.members[0] as Single, true);
  assert.equal(members(draft), 2 * MAX_FIELDS);
});

test("a form has no more places than its bound, whatever is added: the next message is one place for JSON", async () => {
  const draft = draftOf((await itself(Label.REPEATED)).desc) as Group;
  const list = draft.members[0] as List;
  while (addItem(list));
  assert.equal(list.items.length, MAX_ITEMS);
  assert.ok(members(draft) <= MAX_PLACES, `${members(draft)} places`);
  assert.deepEqual([list.items[0]?.is, list.items.at(-1)?.is], ["group", "leaf"]);
});

test("a false copy of a type of Google's is an error where it is written, and nothing else", async () => {
  const timestamp = { name: "google/protobuf/timestamp.proto", package: "google.protobuf", messageType: [{ name: "Timestamp" }] };
  const wrapper = { name: "w.proto", package: "google.protobuf", messageType: [{ name: "Struct" }, { name: "Any" }, { name: "UInt64Value" }] };
  const { registry } = await read(file(timestamp), file(wrapper));
  for (const [name, text] of [["Timestamp", "2026-01-31T12:00:00Z"], ["Struct", "{}"], ["Any", "{}"]] as const) {
    const desc = registry.getMessage(`google.protobuf.${name}`)!;
    const draft = draftOf(desc);
    assert.ok(draft.is === "leaf");
    draft.text = text;
    const { message, faults } = write(desc, draft, registry); // either is well, but it does not throw
    assert.ok(message !== undefined || faults.places.size > 0 || faults.whole !== "");
  }
});
