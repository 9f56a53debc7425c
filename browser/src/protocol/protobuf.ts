// The messages of the contracts as bytes, by one small table for each.
//
// The library reads and writes by descriptors, which are most of its size, and every page would load
// them for a dozen messages that never change. Types are the library's: the tables only say which
// field is which, and a test compares them to the descriptors.
//
// What is read is what any encoder of proto3 writes: fields in any order, the last one of several
// counts, unknown ones are passed over, as are those of another wire type.

import { concat, fromUtf8, utf8 } from "./bytes";

/** How the value of a field is written. */
export type Scalar = "string" | "bytes" | "bool" | "int32" | "uint32" | "uint64" | "fixed64" | "double" | "float";

export interface Field {
  readonly number: number;
  readonly name: string;
  /** A table is that of a message; "map" has texts as keys and values. */
  readonly type: Scalar | "map" | Table<any>;
  readonly isRepeated?: boolean;
  /** The group of fields of which one at most is set. */
  readonly oneof?: string;
}

/** Of a message; `T` is what is read. */
export interface Table<T> {
  readonly fields: readonly Field[];
  readonly is?: T;
}

/** A message without what the library adds to it. */
export type Plain<T> = T extends Uint8Array | bigint | string | number | boolean | undefined
  ? T
  : T extends readonly (infer U)[]
    ? Plain<U>[]
    : { [K in keyof T as K extends "$typeName" | "$unknown" ? never : K]: Plain<T[K]> };

/** What is to be written: absent fields have their default. */
export type Init<T> = T extends Uint8Array | bigint | string | number | boolean | undefined
  ? T
  : T extends readonly (infer U)[]
    ? readonly Init<U>[]
    : T extends { case: string | undefined }
      ? T extends { case: string; value: infer V }
        ? { case: T["case"]; value: Init<V> }
        : T
      : { readonly [K in keyof T]?: Init<T[K]> | undefined };

export function table<T>(fields: readonly Field[]): Table<Plain<T>> {
  return { fields };
}

enum Wire {
  VARINT = 0,
  FIXED64 = 1,
  LENGTH = 2,
  FIXED32 = 5,
}

const DEFAULTS: Record<Scalar, () => unknown> = {
  string: () => "",
  bytes: () => new Uint8Array(0),
  bool: () => false,
  int32: () => 0,
  uint32: () => 0,
  uint64: () => 0n,
  fixed64: () => 0n,
  double: () => 0,
  float: () => 0,
};
const ENTRY: Table<any> = {
  fields: [
    { number: 1, name: "key", type: "string" },
    { number: 2, name: "value", type: "string" },
  ],
};

function wireOf(type: Field["type"]): Wire {
  switch (type) {
    case "fixed64":
    case "double":
      return Wire.FIXED64;
    case "float":
      return Wire.FIXED32;
    case "bool":
    case "int32":
    case "uint32":
    case "uint64":
      return Wire.VARINT;
  }
  return Wire.LENGTH;
}

// Reading

/** Reads a message; throws an error if `data` is none. */
export function read<T>({ fields }: Table<T>, data: Uint8Array): T {
  return merge(empty(fields), fields, data) as T;
}

type Message = Record<string, any>;

function empty(fields: readonly Field[]): Message {
  const message: Message = {};
  for (const { name, type, isRepeated, oneof } of fields) {
    if (oneof !== undefined) {
      message[oneof] = { case: undefined };
    } else if (isRepeated) {
      message[name] = [];
    } else if (type === "map") {
      message[name] = {};
    } else {
      message[name] = typeof type === "string" ? DEFAULTS[type]() : undefined;
    }
  }
  return message;
}

function merge(message: Message, fields: readonly Field[], data: Uint8Array): Message {
  const reader = new Reader(data);
  while (reader.offset < data.length) {
    const tag = reader.varint32();
    const [number, wire] = [tag >>> 3, tag & 7];
    const field = fields.find((each) => each.number === number);
    if (number === 0) {
      throw new Error("a field without a number");
    } else if (field === undefined) {
      reader.skip(wire);
    } else if (field.isRepeated && wire === Wire.LENGTH && wireOf(field.type) !== wire) {
      const packed = new Reader(reader.bytes());
      while (packed.offset < packed.data.length) {
        message[field.name].push(packed.scalar(field.type as Scalar));
      }
    } else if (wire !== wireOf(field.type)) {
      reader.skip(wire);
    } else {
      put(message, field, reader);
    }
  }
  return message;
}

function put(message: Message, { name, type, isRepeated, oneof }: Field, reader: Reader): void {
  if (type === "map") {
    const { key, value } = read(ENTRY, reader.bytes());
    // A key may be any text, also one that an object has of itself.
    Object.defineProperty(message[name], key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const before = oneof === undefined ? message[name] : message[oneof].case === name && message[oneof].value;
  const value =
    typeof type === "string"
      ? reader.scalar(type)
      : merge((!isRepeated && before) || empty(type.fields), type.fields, reader.bytes());
  if (isRepeated) {
    message[name].push(value);
  } else if (oneof !== undefined) {
    message[oneof] = { case: name, value };
  } else {
    message[name] = value;
  }
}

class Reader {
  offset = 0;
  private readonly view: DataView;

  constructor(readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  private take(size: number): number {
    const start = this.offset;
    if (size > this.data.length - start) {
      throw new Error("cut short");
    }
    this.offset = start + size;
    return start;
  }

  bytes(): Uint8Array {
    const size = Number(this.varint64());
    const start = this.take(size);
    return this.data.subarray(start, start + size);
  }

  /** The low 32 bits of a number. */
  varint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.data[this.take(1)]!;
      value |= shift < 32 ? (byte & 0x7f) << shift : 0;
      if (byte < 0x80) {
        return value >>> 0;
      }
    }
    throw new Error("a number of over ten bytes");
  }

  private varint64(): bigint {
    const start = this.offset;
    const low = this.varint32();
    if (this.offset - start < 5) {
      return BigInt(low);
    }
    let value = 0n;
    for (let at = this.offset - 1; at >= start; at--) {
      value = (value << 7n) | BigInt(this.data[at]! & 0x7f);
    }
    return BigInt.asUintN(64, value);
  }

  scalar(type: Scalar): unknown {
    switch (type) {
      case "string":
        return fromUtf8(this.bytes());
      case "bytes":
        return this.bytes();
      case "bool":
        return this.varint64() !== 0n;
      case "int32":
        return this.varint32() | 0;
      case "uint32":
        return this.varint32();
      case "uint64":
        return this.varint64();
      case "fixed64":
        return this.view.getBigUint64(this.take(8), true);
      case "double":
        return this.view.getFloat64(this.take(8), true);
      case "float":
        return this.view.getFloat32(this.take(4), true);
    }
  }

  skip(wire: number): void {
    switch (wire) {
      case Wire.VARINT:
        this.varint32();
        break;
      case Wire.FIXED64:
        this.take(8);
        break;
      case Wire.LENGTH:
        this.bytes();
        break;
      case Wire.FIXED32:
        this.take(4);
        break;
      default:
        throw new Error(`a field of kind ${wire}`);
    }
  }
}

// Writing

/** Writes a message, its fields in the order of the table. */
export function write<T>({ fields }: Table<T>, message: Init<T>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    writeField(parts, field, message as Message);
  }
  return concat(parts);
}

function writeField(parts: Uint8Array[], field: Field, message: Message): void {
  const { name, type, isRepeated, oneof } = field;
  if (oneof !== undefined) {
    const set = message[oneof];
    if (set?.case === name) {
      writeValue(parts, field, set.value);
    }
    return;
  }
  const value = message[name];
  if (value === undefined) {
    return;
  }
  if (type === "map") {
    for (const [key, each] of Object.entries(value)) {
      // Both are written, also where they are empty.
      const entry: Uint8Array[] = [];
      ENTRY.fields.forEach((part, index) => writeValue(entry, part, [key, each][index]));
      parts.push(...delimited(field.number, concat(entry)));
    }
  } else if (isRepeated) {
    for (const each of value) {
      writeValue(parts, field, each);
    }
  } else if (typeof type !== "string" || (type === "bytes" ? value.length > 0 : Boolean(value))) {
    writeValue(parts, field, value);
  }
}

function writeValue(parts: Uint8Array[], { number, type }: Field, value: any): void {
  if (type === "string") {
    parts.push(...delimited(number, utf8(value)));
  } else if (type === "bytes") {
    parts.push(...delimited(number, value));
  } else if (typeof type !== "string") {
    parts.push(...delimited(number, write(type, value)));
  } else if (type === "float") {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setFloat32(0, value, true);
    parts.push(varint((number << 3) | Wire.FIXED32), data);
  } else if (type === "fixed64" || type === "double") {
    const data = new Uint8Array(8);
    const view = new DataView(data.buffer);
    if (type === "double") {
      view.setFloat64(0, value, true);
    } else {
      view.setBigUint64(0, value, true);
    }
    parts.push(varint((number << 3) | Wire.FIXED64), data);
  } else {
    const written = typeof value === "bigint" || value < 0 ? varint64(BigInt(value)) : varint(Number(value));
    parts.push(varint((number << 3) | Wire.VARINT), written);
  }
}

function delimited(number: number, data: Uint8Array): Uint8Array[] {
  return [varint((number << 3) | Wire.LENGTH), varint(data.length), data];
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  while (value > 0x7f) {
    bytes.push((value & 0x7f) | 0x80);
    value = Math.floor(value / 0x80);
  }
  bytes.push(value);
  return Uint8Array.from(bytes);
}

function varint64(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
