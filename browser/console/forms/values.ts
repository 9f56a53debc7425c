// Between a form and the value that it shows: JSON, as protobuf has it (ProtoJSON), and the message.

import { create, type DescField, type DescMessage, fromJson, type JsonObject, type JsonValue, type Message, type Registry, toBinary, toJson } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";

import { addEntry, addItem, type Choice, choose, draftOf, type Entries, type Group, type Leaf, type List, type Member, Places, set, type Single, type Value } from "./draft";
import { jsonOf, PlaceError, reasonOf, startOf, takesEmpty, textOf } from "./places";

/** Letters of JSON that are taken. */
export const MAX_JSON = 2 * 1024 * 1024;

/** What is wrong, by the place; and with the whole, where no place is to blame. */
export interface Faults {
  readonly places: ReadonlyMap<Leaf, string>;
  readonly whole: string;
}

export interface Written {
  /** What stands in the form; wrong texts are in it as they are. */
  readonly json: JsonValue;
  readonly faults: Faults;
  /** Where nothing is wrong. */
  readonly message: Message | undefined;
}

/** Reads a form: its JSON, its message, and what is wrong with it. */
export function write(desc: DescMessage, draft: Value, registry: Registry): Written {
  const writer = new Writer(registry);
  const json = writer.value(draft, true) ?? emptyOf(draft);
  if (writer.faults.size > 0) {
    return { json, faults: { places: writer.faults, whole: "" }, message: undefined };
  }
  try {
    return { json, faults: { places: writer.faults, whole: "" }, message: messageOf(desc, json, registry) };
  } catch (error) {
    return { json, faults: { places: writer.faults, whole: reasonOf(error) }, message: undefined };
  }
}

function emptyOf(draft: Value): JsonValue {
  return draft.is === "leaf" && draft.kind.is !== "json" ? draft.text : {};
}

/** A message of its JSON; throws an error whose text says what is wrong. */
export function messageOf(desc: DescMessage, json: JsonValue, registry: Registry): Message {
  const message = fromJson(desc, json, { registry });
  toBinary(desc, message); // what is required is looked for here
  return message;
}

/** A message of JSON as somebody wrote it; throws `PlaceError`. */
export function messageOfText(desc: DescMessage, text: string, registry: Registry): Message {
  const json = parse(text);
  try {
    return messageOf(desc, json, registry);
  } catch (error) {
    throw new PlaceError(reasonOf(error));
  }
}

/** A form that shows what JSON says; throws `PlaceError` if it is no such message, or too large for a form. */
export function draftOfText(desc: DescMessage, text: string, registry: Registry): Value {
  const message = messageOfText(desc, text, registry);
  const json = toJson(desc, message, { registry });
  const draft = draftOf(desc);
  new Reader().value(draft, json);
  return draft;
}

function parse(text: string): JsonValue {
  if (text.length > MAX_JSON) {
    throw new PlaceError(`JSON of ${text.length} letters; at most ${MAX_JSON} are taken`);
  }
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new PlaceError(reasonOf(error));
  }
}

/** An object that has nothing of itself: names are a stranger's, also `__proto__`. */
function object(): JsonObject {
  return Object.create(null) as JsonObject;
}

class Writer {
  readonly faults = new Map<Leaf, string>();

  constructor(private readonly registry: Registry) {}

  /** @param counts whether it is there also where nothing was typed; else undefined: it is not */
  value(value: Value, counts: boolean): JsonValue | undefined {
    return value.is === "group" ? this.group(value) : this.leaf(value, counts);
  }

  private leaf(leaf: Leaf, counts: boolean): JsonValue | undefined {
    if (!counts && leaf.text === startOf(leaf.kind)) {
      return undefined;
    }
    try {
      if (leaf.text === "" && !takesEmpty(leaf.kind)) {
        throw new PlaceError("something, or leave it out");
      }
      return jsonOf(leaf.kind, leaf.text, this.registry);
    } catch (error) {
      if (!(error instanceof PlaceError)) {
        throw error;
      }
      this.faults.set(leaf, error.message);
      return leaf.text;
    }
  }

  private group(group: Group): JsonObject {
    const json = object();
    for (const member of group.members) {
      const written = this.member(member);
      if (written !== undefined) {
        json[written[0]] = written[1];
      }
    }
    return json;
  }

  private member(member: Member): [string, JsonValue] | undefined {
    switch (member.is) {
      case "single":
        return this.single(member);
      case "choice":
        return member.chosen && this.single(member.chosen);
      case "list":
        return this.list(member);
      case "map":
        return this.map(member);
    }
  }

  private single({ field, isSet, isOptional, value }: Single): [string, JsonValue] | undefined {
    if (!isSet || value === undefined) {
      return undefined;
    }
    const isRequired = field.presence === Presence.LEGACY_REQUIRED;
    const json = this.value(value, isOptional || isRequired);
    return json === undefined ? undefined : [field.jsonName, json];
  }

  private list({ field, items }: List): [string, JsonValue] | undefined {
    const json = items.map((item) => this.value(item, true)!);
    return json.length > 0 ? [field.jsonName, json] : undefined;
  }

  private map({ field, entries }: Entries): [string, JsonValue] | undefined {
    const json = object();
    for (const { key, value } of entries) {
      const name = this.leaf(key, true);
      const text = String(name);
      if (text in json) {
        this.faults.set(key, "another key: this one is there already");
      }
      json[text] = this.value(value, true)!;
    }
    return entries.length > 0 ? [field.jsonName, json] : undefined;
  }
}

/** Fills a form from JSON that its message was read from. */
class Reader {
  private readonly places = new Places();

  value(value: Value, json: JsonValue): void {
    this.places.add();
    if (value.is === "leaf") {
      value.text = textOf(value.kind, json);
    } else {
      this.group(value, json as JsonObject);
    }
  }

  private group(group: Group, json: JsonObject): void {
    for (const member of group.members) {
      switch (member.is) {
        case "single":
          this.single(member, json);
          break;
        case "choice":
          this.choice(member, json);
          break;
        case "list":
          this.list(member, jsonAt(json, member.field));
          break;
        case "map":
          this.map(member, jsonAt(json, member.field));
          break;
      }
    }
  }

  private single(single: Single, json: JsonObject): void {
    this.places.add();
    const found = jsonAt(json, single.field);
    if (found !== undefined) {
      set(single, true);
      this.value(single.value!, found);
    }
  }

  private choice(choice: Choice, json: JsonObject): void {
    this.places.add();
    const chosen = choice.options.find(({ field }) => jsonAt(json, field) !== undefined);
    if (chosen !== undefined) {
      choose(choice, chosen.field.name);
      this.value(chosen.value!, jsonAt(json, chosen.field)!);
    }
  }

  private list(list: List, json: JsonValue | undefined): void {
    for (const item of (json ?? []) as JsonValue[]) {
      full(addItem(list), list.field);
      this.value(list.items.at(-1)!, item);
    }
  }

  private map(map: Entries, json: JsonValue | undefined): void {
    for (const [key, value] of Object.entries((json ?? {}) as JsonObject)) {
      full(addEntry(map), map.field);
      const entry = map.entries.at(-1)!;
      entry.key.text = key;
      this.value(entry.value, value);
    }
  }
}

function jsonAt(json: JsonObject, { jsonName }: DescField): JsonValue | undefined {
  return Object.hasOwn(json, jsonName) ? json[jsonName] : undefined;
}

function full(isAdded: boolean, field: DescField): void {
  if (!isAdded) {
    throw new PlaceError(`${field.name} has more items than a form shows`);
  }
}

/** A message with nothing in it. */
export function emptyMessage(desc: DescMessage): Message {
  return create(desc);
}
