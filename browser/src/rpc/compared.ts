// Whether two forms of one method's contract understand each other.

import { fromUtf8 } from "../protocol/bytes";
import { formOf, MAX_FORM_BYTES } from "../protocol/rpc/contracts";
import { difference } from "../protocol/rpc/differences";
import type { Method } from "../service";

/** Of what keeps two sides apart: the far side's names are as long as it likes. */
const MAX_WHY_CHARS = 300;

/** The number by which the callee takes the call; or why it does not understand it. */
export async function compared(method: Method, told: Uint8Array): Promise<bigint | string> {
  try {
    const form = await unpacked(told);
    if (form === undefined) {
      return "it is too long to be compared";
    }
    const why = difference(JSON.parse(formOf(method)), JSON.parse(fromUtf8(form)));
    if (why !== null) {
      return plain(why);
    }
    const hash = await crypto.subtle.digest("SHA-256", form);
    return new DataView(hash).getBigUint64(0);
  } catch {
    return "the far side tells it in a way that cannot be read";
  }
}

/** Undefined: there is more of it than is believed. */
async function unpacked(data: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const packed = new Blob([data as Uint8Array<ArrayBuffer>]).stream();
  const reader = packed.pipeThrough(new DecompressionStream("deflate")).getReader();
  const form = new Uint8Array(MAX_FORM_BYTES);
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (size + part.value.length > MAX_FORM_BYTES) {
      await reader.cancel();
      return undefined;
    }
    form.set(part.value, size);
    size += part.value.length;
  }
  return form.slice(0, size);
}

/** For logs and consoles: much of it is the far side's. */
function plain(text: string): string {
  const characters = [...text];
  const cut = characters.length > MAX_WHY_CHARS ? `${characters.slice(0, MAX_WHY_CHARS).join("")}…` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)!.toString(16)}}`);
}
