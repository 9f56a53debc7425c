// What bytes of a stranger would cost to decode: counted without making anything of them.
//
// Two bytes are a message of some hundred in memory, and the library decodes all of them before it can be
// asked how many they are. It takes a field of a known number as its type has it, whatever its bytes say
// of that, and reads it to its end, wherever what it is in has ended: what is not strict is refused here,
// so that both read the same.

import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Codec, RemoteProtocolError } from "actr";

/** In place of what decodes: bytes as they come, for what they are is looked at first. */
export function undecoded({ name }: { readonly name: string }): Codec<Uint8Array> {
  return { name, read: (data) => data, write: (data) => data };
}

/** Messages within messages, as deep as the library goes. */
const MAX_DEPTH = 100;

/** What may stand in a field. */
interface Known {
  readonly type: WireType;
  /** Its values may stand behind each other, in one field. */
  readonly isPackable?: boolean;
  /** Of a message, or of an entry of a map. */
  readonly within?: () => Fields;
}

/** By their numbers. */
type Fields = ReadonlyMap<number, Known>;

const read = new WeakMap<DescMessage, Fields>();

/**
 * Counts the messages that these bytes are, with those within and the entries of maps, to one over `most`
 * and no further. Throws `RemoteProtocolError` if they are none of this type.
 */
export function countMessages(desc: DescMessage, data: Uint8Array, most: number): number {
  try {
    return new Counting(new BinaryReader(data), most).count(fieldsOf(desc), data.length, 0);
  } catch (cause) {
    throw new RemoteProtocolError(`bytes that are no ${desc.typeName}`, { cause });
  }
}

class Counting {
  private found = 0;

  constructor(
    private readonly reader: BinaryReader,
    private readonly most: number,
  ) {}

  /** Reads a message up to its end. */
  count(known: Fields, end: number, depth: number): number {
    const { reader } = this;
    this.found += 1;
    if (depth > MAX_DEPTH || end > reader.len) {
      throw new Error("messages without an end");
    }
    while (reader.pos < end && this.found <= this.most) {
      const [number, type] = reader.tag();
      const field = known.get(number);
      if (field?.within !== undefined && type === field.type) {
        const length = reader.uint32();
        this.count(field.within(), reader.pos + length, depth + 1);
      } else if (field === undefined || type === field.type) {
        reader.skip(type, number);
      } else if (field.isPackable && type === WireType.LengthDelimited) {
        this.packed(field.type);
      } else {
        throw new Error(`field ${number} of wire type ${type}`);
      }
    }
    if (this.found <= this.most && reader.pos > end) {
      throw new Error("a field without an end");
    }
    return this.found;
  }

  /** Values one behind the other, of which the last one has an end. */
  private packed(type: WireType): void {
    const { reader } = this;
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) {
      reader.skip(type);
    }
    if (reader.pos > end) {
      throw new Error("a value without an end");
    }
  }
}

function fieldsOf(desc: DescMessage): Fields {
  const known = read.get(desc) ?? new Map(desc.fields.map((field) => [field.number, knownOf(field)]));
  read.set(desc, known);
  return known;
}

function knownOf(field: DescField): Known {
  const { message, scalar } = field;
  const value =
    message === undefined
      ? { type: typeOf(scalar) }
      : { type: WireType.LengthDelimited, within: () => fieldsOf(message) };
  if (field.fieldKind === "map") {
    const entry = new Map([[1, { type: typeOf(field.mapKey) }], [2, value]]);
    return { type: WireType.LengthDelimited, within: () => entry };
  }
  return { ...value, isPackable: field.fieldKind === "list" && value.type !== WireType.LengthDelimited };
}

/** @param scalar undefined: an enum */
function typeOf(scalar: ScalarType | undefined): WireType {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    default:
      return WireType.Varint;
  }
}
