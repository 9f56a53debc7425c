// What has been heard of contracts of one remote that are not this side's own.
//
// A call carries the number of its method's contract. A callee that has another one refuses it before
// it is run, and tells its own: then it is decided here, once for each method, whether the two
// understand each other. They nearly always do, for most changes add something; then the call is made
// again with the callee's number, and so are all later ones.

import { CallError, Code } from "../errors";
import { toldBy } from "../protocol/rpc/contracts";
import type { Method } from "../service";

/** Of one call; a callee may come back with another contract meanwhile, but not for ever. */
const MAX_REFUSALS = 4;

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
    // Loaded where it is wanted: most actors have one contract.
    const { compared } = await import("./compared");
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
