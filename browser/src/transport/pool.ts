// The wires of one link as dialling sees them: what is dialled, and what became of it.

import { NoRelayError, type PeerError, UnreachableError } from "../errors";
import type { WireKind } from "../protocol/payload";
import { Slots } from "../protocol/session/wires/slots";
import type { Time } from "../time";
import type { Dialer, LinkWire } from "./wire";

/** How long one dial may take, in seconds. */
const DIAL_SECONDS = 15;

export interface PoolOwner {
  /** A dial has ended well. */
  dialled(wire: LinkWire): void;
  /** A dial has failed: mend, now or when it is time. */
  settled(): void;
}

export class Pool {
  readonly slots: Slots;
  /** What the last dial or wire that failed said. */
  why = "";
  private readonly dials = new Map<WireKind, AbortController>();

  constructor(
    prefer: readonly WireKind[],
    private readonly dialers: ReadonlyMap<WireKind, Dialer>,
    isSmaller: boolean,
    private readonly time: Time,
    private readonly owner: PoolOwner,
  ) {
    this.slots = new Slots(prefer, [...dialers.keys()], isSmaller);
  }

  takes(kind: WireKind): boolean {
    return this.slots.byKind.has(kind);
  }

  /** Dials what is not there; what is ready or coming is left alone. Twice is harmless. */
  mend(): void {
    for (const kind of this.slots.dials(this.time.now())) {
      void this.dial(kind, this.dialers.get(kind)!);
    }
  }

  private async dial(kind: WireKind, dialer: Dialer): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    this.dials.set(kind, controller);
    const late = new UnreachableError("", `dialling took over ${DIAL_SECONDS} s`);
    const stop = this.time.after(DIAL_SECONDS, () => controller.abort(late));
    const dialling = Promise.resolve(signal).then(dialer);
    try {
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
      const wire = await Promise.race([dialling, aborted]);
      this.dials.delete(kind);
      this.slots.dialled(kind);
      this.owner.dialled(wire);
    } catch (error) {
      // What comes all the same is not used.
      dialling.then((wire) => wire.close(), () => {});
      this.dials.delete(kind);
      const isForGood = error instanceof NoRelayError;
      // What the better kinds have said says more.
      this.why = (isForGood && this.why) || textOf(error);
      this.slots.failed(kind, this.time.now(), Math.random(), isForGood);
      this.owner.settled();
    } finally {
      stop();
    }
  }

  /** Ids of what must go before one more wire of this kind is taken. */
  excess(kind: WireKind): number[] {
    return this.slots.excess(kind);
  }

  /** A wire is open and known to the session. */
  opened(kind: WireKind, id: number): void {
    this.slots.opened(kind, id);
  }

  /** A wire is gone, or not needed. */
  gone(kind: WireKind, id: number, error?: Error): void {
    this.slots.gone(kind, id, this.time.now(), Math.random());
    this.why = error === undefined ? this.why : textOf(error);
  }

  /** Stops dialling; wires are the owner's to close. */
  close(): void {
    this.slots.close();
    for (const dial of this.dials.values()) {
      dial.abort();
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof UnreachableError ? error.why : String((error as PeerError)?.message ?? error);
}
