// The lives of wires: for each link and kind of wire, its states one after the other.
//
// Both ends of a link tell of it, each by itself. Of the two the one that told last is shown, for the
// other may be no more; where both tell still, the one that has more to tell.
//
// An actor that dials again at once says `idle`, or `connecting`, where a wire has ended: so one that was up,
// and is wanted again, has broken. One that is `idle` from then on was let go.

/** Changes that are kept of one kind of wire, of one end of a link. */
export const MAX_MOMENTS = 256;
/** Milliseconds within which two ends tell of the same. */
const SAME_MS = 3000;
/** Ends of links that are kept of one actor; the one that changed the longest ago is forgotten first. */
export const MAX_ENDS = 512;
/** Actors of whose ends something is kept; the one that told the longest ago is forgotten first. */
export const MAX_TELLERS = 1024;
const WIRES: readonly string[] = ["webrtc", "websocket"];

export type WireState = "idle" | "connecting" | "ready" | "suspect" | "failed";
const STATES: readonly string[] = ["idle", "connecting", "ready", "suspect", "failed"];

export interface Moment {
  /** Milliseconds, by the page's clock. */
  readonly at: number;
  readonly state: WireState;
}

export interface Told extends Moment {
  /** It was up, and broke. */
  readonly isCut: boolean;
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
  /** By who told of it, and then by the far end. */
  readonly #ends = new Map<string, Map<string, Kinds>>();

  /**
   * Notes that a wire of `by` has another state; returns the one before it, "unknown" where there is
   * none, and undefined where what is told is no state, or of no kind of wire.
   */
  note(by: string, remote: string, kind: string, at: number, state: string): WireState | "unknown" | undefined {
    if (!STATES.includes(state) || !WIRES.includes(kind)) {
      return undefined;
    }
    const ends = this.#ends.get(by) ?? new Map<string, Kinds>();
    putLast(this.#ends, by, ends, MAX_TELLERS);
    const kinds = ends.get(remote) ?? new Map<string, Moment[]>();
    putLast(ends, remote, kinds, MAX_ENDS);
    const moments = kinds.get(kind) ?? [];
    kinds.set(kind, moments);
    const last = moments.at(-1);
    moments.push({ at: Math.max(at, last?.at ?? 0), state: state as WireState });
    if (moments.length > MAX_MOMENTS) {
      moments.shift();
    }
    return last?.state ?? "unknown";
  }

  /**
   * Wires of `by` are no more, of which it can tell nothing now.
   *
   * @param state `failed` where its process is no more, `idle` where it let them go
   * @param kept far ends of wires that are
   */
  end(by: string, at: number, state: "failed" | "idle", kept: ReadonlySet<string> = new Set()): void {
    for (const [remote, kinds] of [...(this.#ends.get(by) ?? [])]) {
      for (const [kind, moments] of kept.has(remote) ? [] : kinds) {
        const last = moments.at(-1)!.state;
        if (isUp(last) || last === "connecting") {
          this.note(by, remote, kind, at, state);
        }
      }
    }
  }

  /** One that was thought to be no more is up. */
  revive(by: string, remote: string, kind: string, at: number, state: string): void {
    const last = this.#of(by, remote)?.get(kind)?.at(-1)?.state;
    if (isUp(state) && (last === "failed" || last === "idle")) {
      this.note(by, remote, kind, at, state);
    }
  }

  #of(one: string, other: string): Kinds | undefined {
    return this.#ends.get(one)?.get(other);
  }

  /** Kinds of wires of which anything is known, of one link. */
  kinds(one: string, other: string): string[] {
    const found = new Set([...(this.#of(one, other)?.keys() ?? []), ...(this.#of(other, one)?.keys() ?? [])]);
    return [...found].sort().reverse();
  }

  /** Of the end that is shown, the same whichever of the two is named first. */
  moments(one: string, other: string, kind: string): readonly Told[] {
    const [a, b] = [one, other].sort() as [string, string];
    const near = told(this.#of(a, b)?.get(kind));
    const far = told(this.#of(b, a)?.get(kind));
    const later = (far.at(-1)?.at ?? 0) - (near.at(-1)?.at ?? 0);
    if (Math.abs(later) > SAME_MS) {
      return later > 0 ? far : near;
    }
    const more = cutsIn(far) - cutsIn(near) || far.length - near.length;
    return more > 0 ? far : near;
  }

  /** How often wires of a link broke since `since`. */
  cuts(one: string, other: string, since: number): number {
    return this.kinds(one, other).reduce((sum, kind) => sum + cutsIn(this.moments(one, other, kind), since), 0);
  }

  /** The states between two times; before the first moment nothing is known. */
  spans(one: string, other: string, kind: string, from: number, to: number): Span[] {
    const moments = this.moments(one, other, kind);
    const found: Span[] = [];
    moments.forEach(({ at, state, isCut }, place) => {
      const end = moments[place + 1]?.at ?? to;
      if (end > from && at < to && end > at) {
        found.push({ state: isCut ? "failed" : state, from: Math.max(from, at), to: Math.min(to, end) });
      }
    });
    return found;
  }
}

/** Puts it behind all others: the first of the map is the one to forget. */
function putLast<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) {
    map.delete(map.keys().next().value!);
  }
}

function told(moments: readonly Moment[] = []): Told[] {
  return moments.map(({ at, state }, place) => {
    const isDown = isUp(moments[place - 1]?.state) && !isUp(state);
    return { at, state, isCut: isDown && (state !== "idle" || place < moments.length - 1) };
  });
}

function cutsIn(moments: readonly Told[], since = 0): number {
  return moments.filter(({ at, isCut }) => isCut && at >= since).length;
}

export function isUp(state: string | undefined): boolean {
  return state === "ready" || state === "suspect";
}
