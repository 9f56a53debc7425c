// The files of a contract: what is too much in them is refused before they are decoded, or taken apart.

import { type DescMessage, fromBinary, mergeFromBinary } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { LimitError, RemoteProtocolError } from "actr";

import { countMessages } from "../model/weight";

/** Messages that a contract is made of, counted before they are decoded: elements, and options of most. */
export const MAX_MESSAGES = 100_000;
/** Places of elements in their files, which have the comments: a file with more than are left has none. */
export const MAX_LOCATIONS = 20_000;
/** Number of their field in a file. */
const SOURCE_CODE_INFO = 9;
/** What is not known is not kept. */
export const READING = { readUnknownFields: false };
/** Messages, fields, enum values and so on of all files: each costs the page memory of its own. */
export const MAX_ELEMENTS = 50_000;
/** Of the full names of all files: the library makes each of them of those around it. */
export const MAX_LETTERS = 12_000_000;
/** Messages within messages: the library takes them apart by calling itself. */
const MAX_NESTED = 32;
/** Of a name or a package, in letters. */
export const MAX_NAME = 256;

/** Counts what a contract is made of, and the letters of its full names. */
export class Elements {
  private count = 0;
  private letters = 0;
  private messages = 0;
  private locations = 0;

  /** Takes what is to be decoded. */
  decoded(desc: DescMessage, data: Uint8Array): void {
    this.messages += countMessages(desc, data, MAX_MESSAGES - this.messages);
    if (this.messages > MAX_MESSAGES) {
      throw new LimitError("messages of a contract", MAX_MESSAGES, this.messages);
    }
  }

  /** Whether there is room for the places in a file; takes them. */
  hasPlaced(data: Uint8Array): boolean {
    const left = MAX_LOCATIONS - this.locations;
    const found = countMessages(FileDescriptorProtoSchema, data, left);
    this.locations += found <= left ? found : 0;
    return found <= left;
  }

  /** Takes a name in what has a full name of so many letters; returns those of its own full name. */
  name(name: string, around: number): number {
    checkName(name);
    const letters = around + 1 + name.length;
    this.letters += letters;
    if (this.letters > MAX_LETTERS) {
      throw new LimitError("letters of the names of a contract", MAX_LETTERS, this.letters);
    }
    return letters;
  }

  add(more: number): void {
    this.count += more;
    if (this.count > MAX_ELEMENTS) {
      throw new LimitError("elements of a contract", MAX_ELEMENTS, this.count);
    }
  }
}

/** A file, and apart from it where its elements are in its text: there are several times as many of those. */
function parted(data: Uint8Array): [file: Uint8Array, places: Uint8Array] {
  const reader = new BinaryReader(data);
  const [file, places]: [number[], number[]] = [[], []];
  while (reader.pos < data.length) {
    const from = reader.pos;
    const [number, type] = reader.tag();
    reader.skip(type, number);
    (number === SOURCE_CODE_INFO ? places : file).push(from, reader.pos);
  }
  return [joined(data, file), joined(data, places)];
}

/** @param ends of each piece, from where and to where */
function joined(data: Uint8Array, ends: readonly number[]): Uint8Array {
  const all = new Uint8Array(data.length);
  let size = 0;
  for (let at = 0; at < ends.length; at += 2) {
    all.set(data.subarray(ends[at], ends[at + 1]), size);
    size += ends[at + 1]! - ends[at]!;
  }
  return all.subarray(0, size);
}

/** Throws `LimitError` or `RemoteProtocolError`. */
export function readFile(data: Uint8Array, count: Elements): FileDescriptorProto {
  let file: FileDescriptorProto;
  try {
    const [own, places] = parted(data);
    count.decoded(FileDescriptorProtoSchema, own);
    file = fromBinary(FileDescriptorProtoSchema, own, READING);
    if (places.length > 0 && count.hasPlaced(places)) {
      mergeFromBinary(FileDescriptorProtoSchema, file, places, READING);
    }
  } catch (cause) {
    if (cause instanceof LimitError) {
      throw cause;
    }
    throw new RemoteProtocolError("it tells a file that cannot be read", { cause });
  }
  const around = file.package.length;
  if (around > MAX_NAME) {
    throw new RemoteProtocolError(`it tells a package of ${around} letters; at most ${MAX_NAME} are taken`);
  }
  count.add(1 + file.dependency.length);
  file.enumType.forEach((each) => readEnum(each, count, around));
  file.messageType.forEach((message) => readMessage(message, count, around, 0));
  file.extension.forEach((field) => readField(field, count, around));
  file.service.forEach((service) => {
    count.add(1 + service.method.length);
    count.name(service.name, around);
    service.method.forEach(({ name }) => checkName(name));
  });
  return file;
}

function readEnum({ name, value }: EnumDescriptorProto, count: Elements, around: number): void {
  count.add(1 + value.length);
  count.name(name, around);
  value.forEach((each) => checkName(each.name));
}

function readField(field: FieldDescriptorProto, count: Elements, around: number): void {
  count.add(1);
  count.name(field.name, around);
  // Generated modules of Python leave out what `protoc` derives from the name.
  field.jsonName ||= protoCamelCase(field.name);
  checkName(field.jsonName);
}

function readMessage(message: DescriptorProto, count: Elements, around: number, depth: number): void {
  if (depth > MAX_NESTED) {
    throw new LimitError("messages within messages", MAX_NESTED, depth);
  }
  count.add(1 + message.oneofDecl.length);
  const letters = count.name(message.name, around);
  message.oneofDecl.forEach(({ name }) => checkName(name));
  message.enumType.forEach((each) => readEnum(each, count, letters));
  message.field.forEach((field) => readField(field, count, letters));
  message.extension.forEach((field) => readField(field, count, letters));
  message.nestedType.forEach((nested) => readMessage(nested, count, letters, depth + 1));
}

/** Throws `RemoteProtocolError` for what is no name. */
export function checkName(name: string): void {
  if (name === "" || name.length > MAX_NAME) {
    throw new RemoteProtocolError(`it tells a name of ${name.length} letters; 1 to ${MAX_NAME} are taken`);
  }
}
