// A message while somebody writes it: a tree of places with the texts as they were typed, right or wrong.
//
// It is made of descriptors alone, grows only where it is asked to, and is bounded, so that recursive
// messages and a stranger's contract do not fill the page: what is over a bound is one place for JSON.

import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";

import { type Kind, kindOf, placeOf, PlaceError, startOf, wholeOf } from "./places";

/** Messages within messages that have places of their own. */
export const MAX_DEPTH = 8;
/** Fields of a message that has places of its own. */
export const MAX_FIELDS = 100;
/** Items of a list, or entries of a map. */
export const MAX_ITEMS = 100;
/** Places of a whole form. */
export const MAX_PLACES = 2000;

/** Counts the places of one form. */
export class Places {
  private count = 0;

  /** Counts so many more; false: they would be too many, and are not counted. */
  take(more: number): boolean {
    const isRoom = this.count + more <= MAX_PLACES;
    this.count += isRoom ? more : 0;
    return isRoom;
  }

  /** Counts one that comes from JSON; throws `PlaceError` where it is one too many. */
  add(): void {
    if (!this.take(1)) {
      throw new PlaceError(`a form has at most ${MAX_PLACES} places`);
    }
  }
}

/** Where in a form a value is made. */
interface Within {
  readonly depth: number;
  /** Of the whole form. */
  readonly places: Places;
}

/** One text. */
export interface Leaf {
  readonly is: "leaf";
  /** For the page: of this form, and no other. */
  readonly id: number;
  readonly kind: Kind;
  text: string;
  /** The file that the text was read from. */
  file?: string;
}

/** A message with places of its own. */
export interface Group {
  readonly is: "group";
  readonly id: number;
  readonly desc: DescMessage;
  readonly members: readonly Member[];
}

export type Value = Leaf | Group;
/** A field, or fields of which one at most is set. */
export type Member = Single | List | Entries | Choice;

export interface Single {
  readonly is: "single";
  readonly id: number;
  readonly field: DescField;
  /**
   * Whether somebody sets it; else it always counts, and its default is as good as nothing. A message is
   * set by nobody else, even where it is required: messages that require each other have no end.
   */
  readonly isOptional: boolean;
  isSet: boolean;
  /** Made when it is set: messages may hold themselves. */
  value: Value | undefined;
  readonly within: Within;
}

export interface List {
  readonly is: "list";
  readonly id: number;
  readonly field: DescField;
  readonly items: Value[];
  readonly within: Within;
}

export interface Entry {
  readonly key: Leaf;
  readonly value: Value;
}

export interface Entries {
  readonly is: "map";
  readonly id: number;
  readonly field: DescField;
  readonly entries: Entry[];
  readonly within: Within;
}

export interface Choice {
  readonly is: "choice";
  readonly id: number;
  readonly oneof: DescOneof;
  readonly options: readonly Single[];
  /** The field that is set. */
  chosen: Single | undefined;
}

let made = 0;

function nextId(): number {
  return ++made;
}

export function leaf(kind: Kind, text = startOf(kind)): Leaf {
  return { is: "leaf", id: nextId(), kind, text };
}

/** A form for a message with nothing in it. */
export function draftOf(desc: DescMessage, within: Within = { depth: 0, places: new Places() }): Value {
  const place = placeOf(desc) ?? (fits(desc, within) ? undefined : wholeOf(desc));
  if (place !== undefined) {
    return leaf(place);
  }
  return { is: "group", id: nextId(), desc, members: desc.members.map((member) => memberOf(member, within)) };
}

/** Whether a message may have places of its own, which are counted by that. */
function fits({ fields }: DescMessage, { depth, places }: Within): boolean {
  return depth < MAX_DEPTH && fields.length <= MAX_FIELDS && places.take(1 + fields.length);
}

function memberOf(member: DescField | DescOneof, within: Within): Member {
  const id = nextId();
  if (member.kind === "oneof") {
    const options = member.fields.map((field) => single(field, within));
    return { is: "choice", id, oneof: member, options, chosen: undefined };
  }
  switch (member.fieldKind) {
    case "list":
      return { is: "list", id, field: member, items: [], within };
    case "map":
      return { is: "map", id, field: member, entries: [], within };
    default:
      return single(member, within);
  }
}

function single(field: DescField, within: Within): Single {
  const isOptional = field.presence === Presence.EXPLICIT || kindOf(field) === undefined;
  const made: Single = { is: "single", id: nextId(), field, isOptional, isSet: false, value: undefined, within };
  if (!isOptional) {
    set(made, true);
  }
  return made;
}

/** What a field's value, list item or map value begins with. */
export function valueOf(field: DescField, { depth, places }: Within): Value {
  const kind = kindOf(field);
  return kind === undefined ? draftOf(field.message!, { depth: depth + 1, places }) : leaf(kind);
}

// What is done to a form

export function set(single: Single, isSet: boolean): void {
  single.isSet = isSet;
  if (isSet) {
    single.value ??= valueOf(single.field, single.within);
  }
}

/** @param name of the field; none: the choice is open again */
export function choose(choice: Choice, name: string): void {
  if (choice.chosen !== undefined) {
    set(choice.chosen, false);
  }
  choice.chosen = choice.options.find(({ field }) => field.name === name);
  if (choice.chosen !== undefined) {
    set(choice.chosen, true);
  }
}

/** False: it is full. */
export function addItem(list: List): boolean {
  if (list.items.length >= MAX_ITEMS) {
    return false;
  }
  list.items.push(valueOf(list.field, list.within));
  return true;
}

/** False: it is full. */
export function addEntry(map: Entries): boolean {
  if (map.entries.length >= MAX_ITEMS || map.field.fieldKind !== "map") {
    return false;
  }
  const key = leaf({ is: "scalar", scalar: map.field.mapKey });
  map.entries.push({ key, value: valueOf(map.field, map.within) });
  return true;
}
