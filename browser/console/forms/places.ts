// What one place of a form takes: which texts are values of it, and what they are in JSON.

import { type DescEnum, type DescField, type DescMessage, fromJson, type JsonValue, type Registry, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

/** What a place takes; all that it has is a text. */
export type Kind =
  | { readonly is: "scalar"; readonly scalar: ScalarType }
  | { readonly is: "enum"; readonly desc: DescEnum }
  /** A message as JSON: one of Google's with a form of its own, or what is too deep or too large for a form. */
  | { readonly is: "json"; readonly desc: DescMessage; readonly hint: string; readonly isText: boolean };

/** A text that is no value of its place; the words are for who typed it. */
export class PlaceError extends Error {
  override name = "PlaceError";
}

/** Bytes of a file that a place takes: it travels with the form, as text. */
export const MAX_FILE_BYTES = 1024 * 1024;

const INTEGERS: ReadonlyMap<ScalarType, readonly [least: bigint, most: bigint]> = new Map([
  ...[ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32].map((type) => [type, [-(2n ** 31n), 2n ** 31n - 1n]] as const),
  ...[ScalarType.UINT32, ScalarType.FIXED32].map((type) => [type, [0n, 2n ** 32n - 1n]] as const),
  ...[ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64].map((type) => [type, [-(2n ** 63n), 2n ** 63n - 1n]] as const),
  ...[ScalarType.UINT64, ScalarType.FIXED64].map((type) => [type, [0n, 2n ** 64n - 1n]] as const),
]);
const IN_32_BITS = 2n ** 32n;
const MAX_FLOAT = 3.4028234663852886e38;
const UNBOUNDED = ["NaN", "Infinity", "-Infinity"];

/** Messages whose JSON is a text, with an example of one. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ["google.protobuf.Timestamp", "2026-01-31T12:00:00Z"],
  ["google.protobuf.Duration", "1.5s"],
  ["google.protobuf.FieldMask", "name,author.name"],
]);
const VALUES: ReadonlyMap<string, string> = new Map([
  ["google.protobuf.Any", '{"@type": "type.googleapis.com/package.Message"}'],
  ["google.protobuf.Struct", '{"key": "value"}'],
  ["google.protobuf.ListValue", "[1, 2]"],
  ["google.protobuf.Value", "null"],
]);

/** What takes a whole message in one place; undefined: it has places of its own. */
export function placeOf(desc: DescMessage): Kind | undefined {
  const text = TEXTS.get(desc.typeName);
  if (text !== undefined) {
    return { is: "json", desc, hint: text, isText: true };
  }
  const value = VALUES.get(desc.typeName);
  if (value !== undefined) {
    return { is: "json", desc, hint: value, isText: false };
  }
  const [field] = desc.fields;
  if (isWrapperDesc(desc) && field?.fieldKind === "scalar") {
    return { is: "scalar", scalar: field.scalar };
  }
  return undefined;
}

/** As JSON, where a form would be too deep or too large. */
export function wholeOf(desc: DescMessage): Kind {
  return { is: "json", desc, hint: "{}", isText: false };
}

/** What a field's one value, list item or map value takes; undefined: a message with places of its own. */
export function kindOf(field: DescField): Kind | undefined {
  if (field.scalar !== undefined) {
    return { is: "scalar", scalar: field.scalar };
  }
  if (field.enum !== undefined) {
    // The one value of it is null, and that is no text.
    return { is: "enum", desc: field.enum };
  }
  return placeOf(field.message!);
}

/** The JSON of a text; throws `PlaceError` if it is no value of its kind. Empty texts are the caller's to know. */
export function jsonOf(kind: Kind, text: string, registry?: Registry): JsonValue {
  switch (kind.is) {
    case "scalar":
      return scalarJson(kind.scalar, text);
    case "enum":
      return enumJson(kind.desc, text);
    case "json":
      return messageJson(kind, text, registry);
  }
}

/** The text that stands for a JSON value in a place of this kind. */
export function textOf(kind: Kind, json: JsonValue): string {
  if (kind.is === "json" && !kind.isText) {
    return JSON.stringify(json, null, 2);
  }
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** What is there while nothing is typed. */
export function startOf(kind: Kind): string {
  if (kind.is === "enum") {
    return kind.desc.values[0]?.name ?? "";
  }
  return kind.is === "scalar" && kind.scalar === ScalarType.BOOL ? "false" : "";
}

/** Whether no text is a value, and not the lack of one. */
export function takesEmpty(kind: Kind): boolean {
  return kind.is === "scalar" && (kind.scalar === ScalarType.STRING || kind.scalar === ScalarType.BYTES);
}

function scalarJson(scalar: ScalarType, text: string): JsonValue {
  const range = INTEGERS.get(scalar);
  if (range !== undefined) {
    return integerJson(text.trim(), ...range);
  }
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return numberJson(text.trim(), scalar === ScalarType.FLOAT);
    case ScalarType.BOOL:
      if (text !== "true" && text !== "false") {
        throw new PlaceError("true or false");
      }
      return text === "true";
    case ScalarType.BYTES:
      return bytesJson(text);
    default:
      return text;
  }
}

function integerJson(text: string, least: bigint, most: bigint): JsonValue {
  if (!/^-?\d{1,20}$/.test(text)) {
    throw new PlaceError(`a whole number from ${least} to ${most}`);
  }
  const value = BigInt(text);
  if (value < least || value > most) {
    throw new PlaceError(`from ${least} to ${most}`);
  }
  // As ProtoJSON has them: 64 bits are text, for JavaScript's numbers would lose some.
  return most < IN_32_BITS ? Number(value) : value.toString();
}

function numberJson(text: string, isFloat: boolean): JsonValue {
  if (UNBOUNDED.includes(text)) {
    return text;
  }
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) {
    throw new PlaceError("a number, NaN, Infinity or -Infinity");
  }
  if (isFloat && Math.abs(value) > MAX_FLOAT) {
    throw new PlaceError("too large for a float of 32 bits");
  }
  return value;
}

function bytesJson(text: string): JsonValue {
  const plain = text.replace(/\s+/g, "").replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/_-]*$/.test(plain) || plain.length % 4 === 1) {
    throw new PlaceError("base64");
  }
  return plain;
}

function enumJson(desc: DescEnum, text: string): JsonValue {
  if (desc.typeName === "google.protobuf.NullValue") {
    return null;
  }
  if (desc.values.some(({ name }) => name === text)) {
    return text;
  }
  const number = Number(text.trim());
  const isNumber = text.trim() !== "" && Number.isInteger(number) && number >= -(2 ** 31) && number < 2 ** 31;
  if (!isNumber || (!desc.open && !desc.values.some((value) => value.number === number))) {
    throw new PlaceError(desc.open ? "a name of the list, or a number" : "a name of the list");
  }
  return number;
}

function messageJson(kind: Kind & { is: "json" }, text: string, registry?: Registry): JsonValue {
  let json: JsonValue = text;
  if (!kind.isText) {
    try {
      json = JSON.parse(text);
    } catch {
      throw new PlaceError(`JSON, for example ${kind.hint}`);
    }
  }
  try {
    fromJson(kind.desc, json, registry === undefined ? {} : { registry });
  } catch (error) {
    if (kind.isText) {
      throw new PlaceError(`for example ${kind.hint}`);
    }
    throw new PlaceError(reasonOf(error));
  }
  return json;
}

/** The library's words for what a message does not take. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500);
}
