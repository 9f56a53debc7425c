// The lives of wires: for each link and kind of wire, its states one after the other.
//
// Both ends of a link tell of it, each by itself. Of the two the one that told last is shown, for the
// other may be no more; where both tell still, the one that has more to tell.
//
// An actor that dials again at once says `idle` between the end of a wire and its next dial: so a wire that
// was up, and behind whose `idle` there is more, has broken. One with nothing behind it was let go.

/** Changes that are kept of one kind of wire, of one end of a link. */
export const MAX_MOMENTS = 256;
/** Milliseconds within which two ends tell of the same. */
const SAME_MS = 3000;
/** Ends of links that are kept; the one that changed the longest ago is forgotten first. */
export const MAX_ENDS = 2048;

export type WireState = "idle" | "connecting" | "ready" | "suspect" | "failed";
const STATES: readonly string[] = ["idle", "connecting", "ready", "suspect", "failed"];

export interface Moment {
  /** Milliseconds, by the page's clock. */
  readonly at: number;
  readonly state: WireState;
}

/** A state from its beginning to its end. */
export interface Span {
  readonly state: WireState;
  readonly from: number;
  /** The time that is looked at, where it lasts. */
  readonly to: number;
}

type Kinds = Map<string, Moment[]>;

export class Lives {
  readonly #ends = new Map<string, Kinds>();

  /**
   * Notes that a wire of `by` has another state; returns the one before it, "unknown" where there is
   * none, and undefined where what is told is no state.
   */
  note(by: string, remote: string, kind: string, at: number, state: string): WireState | "unknown" | undefined {
    if (!STATES.includes(state)) {
      return undefined;
    }
    const end = `${by} ${remote}`;
    const kinds = this.#ends.get(end) ?? new Map<string, Moment[]>();
    // Behind all others: the first of the map is the one to forget.
    this.#ends.delete(end);
    this.#ends.set(end, kinds);
    if (this.#ends.size > MAX_ENDS) {
      this.#ends.delete(this.#ends.keys().next().value!);
    }
    const moments = kinds.get(kind) ?? [];
    kinds.set(kind, moments);
    const last = moments.at(-1);
    moments.push({ at: Math.max(at, last?.at ?? 0), state: state as WireState });
    if (moments.length > MAX_MOMENTS) {
      moments.shift();
    }
    return last?.state ?? "unknown";
  }

  /** Kinds of wires of which anything is known, of one link. */
  kinds(one: string, other: string): string[] {
    const ends = [`${one} ${other}`, `${other} ${one}`];
    const found = new Set(ends.flatMap((end) => [...(this.#ends.get(end)?.keys() ?? [])]));
    return [...found].sort().reverse();
  }

  /** Of the end that is shown. */
  moments(one: string, other: string, kind: string): readonly Moment[] {
    const near = this.#ends.get(`${one} ${other}`)?.get(kind) ?? [];
    const far = this.#ends.get(`${other} ${one}`)?.get(kind) ?? [];
    const later = (far.at(-1)?.at ?? 0) - (near.at(-1)?.at ?? 0);
    const isFar = Math.abs(later) > SAME_MS ? later > 0 : far.length > near.length;
    const told = isFar ? far : near;
    return told.map((moment, place) => {
      const isBroken = moment.state === "idle" && isUp(told[place - 1]?.state) && place < told.length - 1;
      return isBroken ? { ...moment, state: "failed" } : moment;
    });
  }

  /** How often wires of a link broke since `since`. */
  cuts(one: string, other: string, since: number): number {
    let found = 0;
    for (const kind of this.kinds(one, other)) {
      const moments = this.moments(one, other, kind);
      moments.forEach(({ at, state }, place) => {
        found += state === "failed" && at >= since && isUp(moments[place - 1]?.state) ? 1 : 0;
      });
    }
    return found;
  }

  /** The states between two times; before the first moment nothing is known. */
  spans(one: string, other: string, kind: string, from: number, to: number): Span[] {
    const moments = this.moments(one, other, kind);
    const found: Span[] = [];
    moments.forEach(({ at, state }, place) => {
      const end = moments[place + 1]?.at ?? to;
      if (end > from && at < to && end > at) {
        found.push({ state, from: Math.max(from, at), to: Math.min(to, end) });
      }
    });
    return found;
  }
}

export function isUp(state: string | undefined): boolean {
  return state === "ready" || state === "suspect";
}
