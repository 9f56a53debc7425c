// The refusal of a call that was made with another contract, and the callee's own beside it.

import { CallError, Code } from "../../errors";
import type { Method } from "../../service";
import { concat, utf8 } from "../bytes";
import { read, type Table, write } from "../protobuf";
import type { Form } from "./differences";
import { ANY } from "./tables";

/** Of a form as it travels; a method of more is not compared. */
const MAX_PACKED_BYTES = 48 * 1024;
/** Of a form as it is read; longer ones are not believed. */
export const MAX_FORM_BYTES = 1024 * 1024;
/** Of a block of DEFLATE that is stored as it is (RFC 1951, 3.2.4). */
const MAX_BLOCK_BYTES = 0xffff;

const METHOD_CONTRACT: Table<{ form: Uint8Array }> = {
  fields: [{ number: 1, name: "form", type: "bytes" }],
};

/** The canonical form of a method's service with this method alone; its number is `contract`. */
export function formOf(method: Method): string {
  const { service, methods, messages, enums }: Form = JSON.parse(method.form!);
  const [own] = methods.filter(([name]) => `${service}.${name}` === method.routeKey);
  const reached = new Set<string>();
  const waiting = [own![3], own![4]];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (!reached.has(name)) {
      reached.add(name);
      // Messages and enums share one namespace: a name is one of the two.
      waiting.push(...(messages[name] ?? []).flatMap(([, , , type]) => type.split(" ").slice(1)));
    }
  }
  const only = (all: object) => Object.fromEntries(Object.entries(all).filter(([name]) => reached.has(name)));
  return JSON.stringify({ enums: only(enums), messages: only(messages), methods: [own], service });
}

/** Made once for each method: a caller can have as many as it likes. */
const refusals = new WeakMap<Method, CallError | null>();

/** Why a call is not taken; null: it is, for the contracts are the same or cannot be compared. */
export function refusal(method: Method, contract: bigint): CallError | null {
  if (method.contract === undefined || contract === 0n || contract === method.contract) {
    return null;
  }
  let made = refusals.get(method);
  if (made === undefined) {
    made = refusalOf(method);
    refusals.set(method, made);
  }
  return made;
}

function refusalOf(method: Method): CallError | null {
  const { routeKey } = method;
  const form = stored(utf8(formOf(method)));
  if (form.length > MAX_PACKED_BYTES) {
    return null;
  }
  const value = write(METHOD_CONTRACT, { form });
  return new CallError(
    Code.FAILED_PRECONDITION,
    `${routeKey} has another contract here; compare the .proto files of both sides (actr proto check)`,
    { details: [write(ANY, { typeUrl: "type.googleapis.com/actr.MethodContract", value })] },
  );
}

/** What a refusal tells, compressed; undefined: the error is none. */
export function toldBy(error: CallError): Uint8Array | undefined {
  const [detail] = error.details;
  if (error.code !== Code.FAILED_PRECONDITION || error.domain !== "" || error.details.length !== 1) {
    return undefined;
  }
  try {
    const { typeUrl, value } = read(ANY, detail!);
    const { form } = read(METHOD_CONTRACT, value);
    return typeUrl.endsWith("/actr.MethodContract") && form.length > 0 ? form : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes as zlib has them (RFC 1950), without the labour: it takes no time, where compressing waits. */
function stored(data: Uint8Array): Uint8Array {
  let [low, high] = [1, 0];
  for (const byte of data) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  const size = Math.min(data.length, MAX_BLOCK_BYTES);
  const head = [0x78, 0x01, 1, size & 0xff, size >> 8, ~size & 0xff, (~size >> 8) & 0xff];
  const sum = [high >> 8, high & 0xff, low >> 8, low & 0xff];
  return concat([Uint8Array.from(head), data, Uint8Array.from(sum)]);
}
