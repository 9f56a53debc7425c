// Whether two forms of one method understand each other, and if not, in what they differ.
//
// The rules are protobuf's own ("Updating A Message Type"): fields are known by their numbers, names do
// not travel, and what one side does not know it passes over. The forms are canonical ones, of a service
// with one method (docs/codegen.md); whatever of the far side's is none throws a TypeError.

/** Fields that are looked at, over all pairs of messages, so that no far side makes this take long. */
const MAX_FIELDS = 96 * 1024;
/** Types that share a form on the wire. */
const SAME_FORM = [
  ["int32", "uint32", "int64", "uint64", "bool", "enum"],
  ["sint32", "sint64"],
  ["fixed32", "sfixed32"],
  ["fixed64", "sfixed64"],
];

/** Number, name, cardinality, type, oneof. */
type Field = readonly [number, string, string, string, string | null];

export interface Form {
  readonly service: string;
  /** Name, kind, payload type, request and reply of each. */
  readonly methods: readonly (readonly [string, string, string, string, string])[];
  readonly messages: Readonly<Record<string, readonly Field[]>>;
  readonly enums: Readonly<Record<string, unknown>>;
}

/** What keeps a caller of `own` from being understood by `theirs`; null: nothing does. */
export function difference(own: Form, theirs: Form): string | null {
  const [here, there] = [own.methods[0]!, theirs.methods[0]!];
  if (theirs.methods.length !== 1 || own.service !== theirs.service || here[0] !== there[0]) {
    throw new TypeError("of another method");
  }
  for (const part of [1, 2] as const) {
    if (here[part] !== there[part]) {
      return `it is ${there[part]} there and ${here[part]} here`;
    }
  }
  return between(own, here[3], theirs, there[3]) ?? between(theirs, there[4], own, here[4]);
}

/** What the reader of a message does not read as it was written, at any depth. */
function between(writing: Form, written: string, reading: Form, read: string): string | null {
  const seen = new Set([`${written} ${read}`]);
  const waiting = [[written, read] as const];
  let lookedAt = 0;
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const [ours, others] = [fieldsOf(writing, pair[0]), fieldsOf(reading, pair[1])];
    lookedAt += ours.size + others.size + 1;
    if (lookedAt > MAX_FIELDS) {
      throw new TypeError("more fields than a method can have");
    }
    for (const [number, [, name, cardinality]] of others) {
      if (cardinality === "required" && !ours.has(number)) {
        return `${pair[1]}.${name} is required by one side and unknown to the other`;
      }
    }
    const common = [...ours.keys()].filter((number) => others.has(number));
    for (const number of common) {
      const [one, other] = [ours.get(number)!, others.get(number)!];
      if (!isLike(one, other)) {
        return `field ${number} of ${pair[0]} is ${said(one)} on one side and ${said(other)} on the other`;
      }
      const [held, counterpart] = [messageIn(one), messageIn(other)];
      const key = `${held} ${counterpart}`;
      if (held !== "" && counterpart !== "" && !seen.has(key)) {
        seen.add(key);
        waiting.push([held, counterpart]);
      }
    }
    const [mates, counterparts] = [matesOf(ours, common), matesOf(others, common)];
    const lone = common.find((number) => mates.get(number) !== counterparts.get(number));
    if (lone !== undefined) {
      return `${pair[0]}.${ours.get(lone)![1]} shares a oneof with others on one side only`;
    }
  }
  return null;
}

function fieldsOf(form: Form, message: string): Map<number, Field> {
  const fields = Object.hasOwn(form.messages, message) ? form.messages[message] : undefined;
  if (!Array.isArray(fields) || !fields.every(isField)) {
    throw new TypeError(`no message ${message}`);
  }
  const sorted = [...fields].sort((one, other) => one[0] - other[0]);
  return new Map(sorted.map((field) => [field[0], field]));
}

function isField(field: unknown): field is Field {
  return (
    Array.isArray(field) &&
    field.length === 5 &&
    Number.isInteger(field[0]) &&
    [1, 2, 3].every((part) => typeof field[part] === "string") &&
    (field[4] === null || typeof field[4] === "string")
  );
}

function isLike(one: Field, other: Field): boolean {
  const [mine, theirs] = [one, other].map((field) => field[3].split(" ")[0]!) as [string, string];
  return (
    (one[2] === "repeated") === (other[2] === "repeated") &&
    (mine === theirs || SAME_FORM.some((form) => form.includes(mine) && form.includes(theirs)))
  );
}

/** The full name of the message that a field holds; empty: it holds none. */
function messageIn([, , , type]: Field): string {
  const [form, name = ""] = type.split(" ");
  return form === "message" || form === "group" ? name : "";
}

function said([, name, cardinality, type]: Field): string {
  return `${cardinality === "single" ? "" : `${cardinality} `}${type} ${name}`;
}

/** Of each field of `common` that shares a oneof with another of them, the first that does. */
function matesOf(fields: Map<number, Field>, common: readonly number[]): Map<number, number> {
  const first = new Map<string, number>();
  const found = new Map<number, number>();
  for (const number of common) {
    const oneof = fields.get(number)![4];
    const mate = oneof === null ? undefined : first.get(oneof);
    if (mate !== undefined) {
      found.set(number, mate).set(mate, mate);
    } else if (oneof !== null) {
      first.set(oneof, number);
    }
  }
  return found;
}
