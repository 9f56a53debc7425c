// What has been heard of contracts of one remote that are not this side's own.
//
// A call carries the number of its method's contract. A callee that has another one refuses it before
// it is run, and tells its own: then it is decided here, once for each method, whether the two
// understand each other. They nearly always do, for most changes add something; then the call is made
// again with the callee's number, and so are all later ones.

import { CallError, Code } from "../errors";
import { fromUtf8 } from "../protocol/bytes";
import { formOf, MAX_FORM_BYTES, toldBy } from "../protocol/rpc/contracts";
import { difference } from "../protocol/rpc/differences";
import type { Method } from "../service";

/** Of one call; a callee may come back with another contract meanwhile, but not for ever. */
const MAX_REFUSALS = 4;
/** Of what keeps two sides apart: the far side's names are as long as it likes. */
const MAX_WHY_CHARS = 300;

export class Contracts {
  /** By the number here: the remote's own, or why the method cannot be called. */
  private other = new Map<bigint, bigint | string>();

  constructor(private readonly remote: string) {}

  /** Another process is there, perhaps with another contract. */
  forget(): void {
    this.other = new Map();
  }

  /** What a call of `method` carries; throws FAILED_PRECONDITION if both are known to differ. */
  number({ contract = 0n, routeKey }: Method): bigint {
    const known = this.other.get(contract) ?? contract;
    if (typeof known === "string") {
      throw this.differs(routeKey, known);
    }
    return known;
  }

  /**
   * Whether a call is to be made again, for another contract was all that was wrong with it. Throws
   * FAILED_PRECONDITION if the two sides do not understand each other.
   *
   * @param refusals how often this call was refused before
   */
  async learn(method: Method, error: CallError, refusals: number): Promise<boolean> {
    const { routeKey, contract } = method;
    const told = toldBy(error);
    if (contract === undefined || told === undefined) {
      return false;
    }
    if (refusals >= MAX_REFUSALS) {
      throw this.differs(routeKey, "it refuses also the one that it tells");
    }
    const { other } = this;
    const heard = await compared(method, told);
    other.set(contract, heard); // of a process that is gone by now, it is gone too
    return other !== this.other || this.number(method) === heard;
  }

  private differs(routeKey: string, why: string): CallError {
    return new CallError(
      Code.FAILED_PRECONDITION,
      `${routeKey} has another contract at ${this.remote}: ${why}; ` +
        "generate both sides from one .proto (actr describe, actr proto check)",
    );
  }
}

/** The number by which the callee takes the call; or why it does not understand it. */
async function compared(method: Method, told: Uint8Array): Promise<bigint | string> {
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
