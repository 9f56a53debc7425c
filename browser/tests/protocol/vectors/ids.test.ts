// Ids and their order, as `proto/vectors/ids.json` has them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConfigError, RemoteProtocolError } from "../../../src/errors";
import { ActrId, ActrType, parseDestination } from "../../../src/protocol/identity/ids";
import { read, write } from "../../../src/protocol/protobuf";
import { ACTR_ID } from "../../../src/protocol/rpc/tables";
import { each, hex, unhex } from "../../kit/vectors";

function fromHex(message: string): ActrId {
  return ActrId.fromMessage(read(ACTR_ID, unhex(message)));
}

each("ids", "texts", "an id has one text and one message", (vector) => {
  const id = ActrId.parse(vector.text);
  const { manufacturer, name, instance, realm } = vector;
  assert.deepEqual([id.manufacturer, id.name, id.instance, id.realm], [manufacturer, name, instance, realm]);
  assert.deepEqual([String(id), id.actrType], [vector.text, vector.type]);
  assert.equal(hex(write(ACTR_ID, id.toMessage())), vector.message);
  assert.ok(fromHex(vector.message).equals(id));
});

each("ids", "malformed_texts", "a text that is no id is refused", (vector) => {
  assert.throws(() => ActrId.parse(vector.text), ConfigError);
});

each("ids", "uris", "an id has one URI", (vector) => {
  assert.equal(ActrId.parseUri(vector.uri).text, vector.text);
  assert.equal(ActrId.parse(vector.text).uri, vector.uri);
  assert.equal(ActrId.read(vector.uri).text, ActrId.read(vector.text).text);
});

each("ids", "malformed_uris", "what is no URI of an actor is refused", (vector) => {
  assert.throws(() => ActrId.parseUri(vector.uri), ConfigError);
});

each("ids", "destinations", "a destination is an id, a type or a half of the own process", (vector) => {
  const target = parseDestination(vector.text);
  const kind = target instanceof ActrId ? "id" : target instanceof ActrType ? "type" : "place";
  assert.deepEqual([kind, String(target)], [vector.kind, vector.names]);
});

each("ids", "malformed_destinations", "a text that names nobody is refused", (vector) => {
  assert.throws(() => parseDestination(vector.text), ConfigError);
});

each("ids", "messages", "what protobuf allows is read as the same id", (vector) => {
  assert.equal(fromHex(vector.message).text, vector.text);
});

each("ids", "malformed_messages", "a message that is no id is refused", (vector) => {
  assert.throws(() => fromHex(vector.message), RemoteProtocolError);
});

each("ids", "order", "the smaller id is the one whose text comes first", (vector) => {
  const [smaller, larger] = [ActrId.parse(vector.smaller), ActrId.parse(vector.larger)];
  assert.ok(smaller.isSmallerThan(larger));
  assert.ok(!larger.isSmallerThan(smaller));
});

test("an id of parts that no text could have is not made", () => {
  for (const parts of [
    ["", "room", "1"],
    ["acme:x", "room", "1"],
    ["acme", "room@1", "1"],
    ["acme", "room", "1", "default\n"],
    ["acme", "r".repeat(64), "1"],
  ] as [string, string, string][]) {
    assert.throws(() => new ActrId(...parts), ConfigError);
  }
});
