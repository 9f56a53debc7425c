// Which wires one link dials, replaces and gives up; one slot for each kind.
//
// Every kind is dialled at once, every wire that opens is kept, and a working wire is never disturbed
// to mend another. What dialling does to a slot is MOVES; how well an open wire works is its
// heartbeat's business and none of the slot's. The shell dials what `Slots.dials` says, and tells how
// that ended.
//
// A relayed wire is the last resort: it is dialled where there is no other wire, and none comes soon.

import { WireKind } from "../../payload";
import { doubled } from "../../wire/backoff";
import { superfluous, unneeded, type WireView } from "./policy";

/** Dials in a row before a kind is left alone. */
export const MAX_TRIES = 3;
/** Seconds between two tries, and a fifth more or less: who failed together comes back apart. */
const FIRST_DELAY = 1;
const LAST_DELAY = 10;
/** Open wires of one kind: a far side that keeps dialling may leave dead ones behind. */
const MAX_WIRES = 8;
/** Seconds after which a wire that breaks is not one that breaks as soon as it is made. */
const SETTLED = 5;
/** Seconds that a side which was dialled waits for the far side's wires of other kinds. */
const FAR_SIDE_DIALS = 1;
/** Seconds that the side with the larger id waits before it dials again: mostly the other does. */
const LARGER_WAITS = 0.1;
/** Seconds without another wire, while one may yet come, after which a relayed one is dialled. */
const PATIENCE = 2;

/** Where dialling one kind of wire stands. */
export type SlotState =
  /** No wire: dial now. */
  | "idle"
  /** No wire: dial when it is time. */
  | "waiting"
  /** No wire, and not worth another dial for now; or this side cannot dial this kind. */
  | "spent"
  /** No wire yet: one is being dialled. */
  | "dialling"
  /** There are wires. */
  | "open"
  /** There are wires from before the network changed: dial now. */
  | "stale"
  /** There are wires, and one more is being dialled. */
  | "doubling"
  /** The link has ended: nothing is dialled any more. */
  | "closed";

/** What happens to one kind. */
type SlotEvent =
  /** A dial begins. */
  | "dial"
  /** It ended well; `opened` follows if its wire can be used. */
  | "dialled"
  /** It came to nothing, and will be tried again. */
  | "failed"
  /** It came to nothing, once too often. */
  | "failedLast"
  /** A wire is there, whoever dialled it. */
  | "opened"
  /** The last wire has gone, and another will be tried. */
  | "lost"
  /** The last wire has gone, and no other is worth a try. */
  | "lostLast"
  /** The far side has begun to dial: leave it a moment. */
  | "deferred"
  /** What was given up is worth a dial again. */
  | "renewed"
  /** This side's network is another one. */
  | "moved"
  /** The link has ended. */
  | "close";

/** Where each event leads; one that is not here changes nothing. */
const MOVES: Readonly<Record<SlotState, Partial<Record<SlotEvent, SlotState>>>> = {
  idle: { dial: "dialling", opened: "open", deferred: "waiting", close: "closed" },
  waiting: { dial: "dialling", opened: "open", renewed: "idle", moved: "idle", close: "closed" },
  spent: { opened: "open", renewed: "idle", moved: "idle", close: "closed" },
  dialling: {
    dialled: "idle",
    failed: "waiting",
    failedLast: "spent",
    opened: "doubling",
    close: "closed",
  },
  open: { lost: "waiting", lostLast: "spent", moved: "stale", close: "closed" },
  stale: { dial: "doubling", lost: "waiting", lostLast: "spent", close: "closed" },
  doubling: {
    dialled: "open",
    failed: "open",
    failedLast: "open",
    lost: "dialling",
    lostLast: "dialling",
    close: "closed",
  },
  closed: {},
};

/** One kind of wire. */
class Slot {
  state: SlotState;
  /** Dials in a row that came to nothing, or to a wire that broke at once. */
  tries = 0;
  /** When to dial, `waiting` only; seconds. */
  retryAt = 0;
  /** Ids of the open ones; a larger one is newer. */
  readonly wires = new Set<number>();
  /** When the far side first answered on each of them. */
  readonly proved = new Map<number, number>();
  /** Whether the last try came to nothing, or to a wire that broke at once. */
  hasFailed = false;
  /** Wires up to this id are closed once a newer one has proved itself. */
  replacing: number | null = null;

  constructor(readonly canDial: boolean) {
    this.state = canDial ? "idle" : "spent";
  }

  on(event: SlotEvent): void {
    this.state = MOVES[this.state][event] ?? this.state;
  }

  get isSpent(): boolean {
    return !this.canDial || this.tries >= MAX_TRIES;
  }

  /** Whether a wire may yet come of a dial that is under way, or of the next one. */
  get isHopedFor(): boolean {
    const { state } = this;
    return state === "idle" || state === "dialling" || (state === "waiting" && !this.hasFailed);
  }

  countFailure(now: number, dice: number): void {
    this.tries++;
    this.hasFailed = true;
    const delay = doubled(FIRST_DELAY, this.tries, LAST_DELAY);
    this.retryAt = now + delay * (0.8 + 0.4 * dice);
  }
}

/** All kinds of wires of one link. */
export class Slots {
  readonly byKind: ReadonlyMap<WireKind, Slot>;
  /** Whether any wire has ever been greeted. */
  wasReady = false;
  isClosed = false;
  /** Since when there is no wire but relayed ones, and from when one of these may be dialled. */
  private aloneSince = Infinity;
  private resortAt = Infinity;

  /**
   * @param prefer kinds, best first
   * @param canDial those of them that this side can dial; others are only accepted
   * @param isSmaller whether this side's id is the smaller one: it decides about duplicates
   */
  constructor(
    prefer: readonly WireKind[],
    canDial: readonly WireKind[],
    private readonly isSmaller: boolean,
  ) {
    this.byKind = new Map(prefer.map((kind) => [kind, new Slot(canDial.includes(kind))]));
  }

  private slot(kind: WireKind): Slot {
    return this.byKind.get(kind)!;
  }

  /** What to dial now, and is being dialled after this. */
  dials(now: number): WireKind[] {
    const kinds: WireKind[] = [];
    for (const [kind, slot] of this.byKind) {
      if (kind === WireKind.RELAYED) {
        this.lookAtOthers(slot, now);
      }
      if (this.dueOf(kind, slot) <= now) {
        slot.on("dial");
        kinds.push(kind);
      }
    }
    return kinds;
  }

  /** When `dials` next has something to say; Infinity: not by time alone. */
  due(): number {
    const dues = [...this.byKind].map(([kind, slot]) => this.dueOf(kind, slot));
    return Math.min(...dues.filter((due) => due > -Infinity));
  }

  /** When to dial this kind; Infinity: not by time alone. */
  private dueOf(kind: WireKind, { state, retryAt }: Slot): number {
    if (state !== "waiting" && state !== "idle" && state !== "stale") {
      return Infinity;
    }
    const due = state === "waiting" ? retryAt : -Infinity;
    return kind === WireKind.RELAYED ? Math.max(due, this.resortAt) : due;
  }

  private lookAtOthers(relayed: Slot, now: number): void {
    const others = [...this.byKind.values()].filter((slot) => slot !== relayed);
    const isAlone = others.every((slot) => slot.wires.size === 0);
    this.aloneSince = isAlone ? Math.min(this.aloneSince, now) : Infinity;
    this.resortAt = this.aloneSince + (others.some((slot) => slot.isHopedFor) ? PATIENCE : 0);
  }

  /** Whether no wire is there, coming, or worth another dial: the link can go. */
  get isDead(): boolean {
    return [...this.byKind.values()].every((slot) => slot.state === "spent");
  }

  /**
   * Of these wires, those that can be closed without loss, for a better one of their kind is there.
   *
   * @param wires all that the far side has greeted
   */
  surplus(wires: readonly WireView[]): number[] {
    const found = unneeded(wires, this.isSmaller);
    for (const slot of this.byKind.values()) {
      const views = wires.filter((view) => slot.wires.has(view.id));
      if (views.length < 2) {
        continue;
      }
      const mark = slot.replacing;
      if (mark !== null && views.some((view) => view.id > mark && view.isTrusted)) {
        found.push(...views.filter((view) => view.id <= mark).map((view) => view.id));
        slot.replacing = null;
      } else {
        found.push(...superfluous(views, this.isSmaller));
      }
    }
    return found;
  }

  /**
   * What must go before one more wire of this kind is taken: those on which the far side has not
   * answered first, then the oldest.
   */
  excess(kind: WireKind): number[] {
    const { wires, proved } = this.slot(kind);
    const order = [...wires].sort((a, b) => Number(proved.has(a)) - Number(proved.has(b)) || a - b);
    return order.slice(0, Math.max(0, order.length + 1 - MAX_WIRES));
  }

  // How dials end

  /** A dial has ended well; tell of its wire with `opened`. */
  dialled(kind: WireKind): void {
    this.slot(kind).on("dialled");
  }

  /**
   * A dial has come to nothing.
   *
   * @param dice random, 0 to 1: spreads the next dial
   * @param isForGood another one would fail alike
   */
  failed(kind: WireKind, now: number, dice: number, isForGood = false): void {
    const slot = this.slot(kind);
    slot.replacing = null;
    slot.countFailure(now, dice);
    slot.tries = isForGood ? MAX_TRIES : slot.tries;
    slot.on(slot.isSpent ? "failedLast" : "failed");
  }

  // Wires that come and go

  /** A wire is open, whoever has dialled it. */
  opened(kind: WireKind, wire: number): void {
    const slot = this.slot(kind);
    slot.wires.add(wire);
    slot.on("opened");
  }

  /** The far side has answered on it: dialling this kind works. */
  greeted(kind: WireKind, wire: number, now: number): void {
    const slot = this.slot(kind);
    slot.proved.set(wire, slot.proved.get(wire) ?? now);
    slot.tries = 0;
    this.wasReady = true;
  }

  /** A wire is gone, or not needed; `now` and `dice` as for `failed`. */
  gone(kind: WireKind, wire: number, now: number, dice: number): void {
    const slot = this.slot(kind);
    const lived = now - (slot.proved.get(wire) ?? now);
    slot.wires.delete(wire);
    slot.proved.delete(wire);
    if (slot.wires.size > 0) {
      return;
    }
    if (lived < SETTLED) {
      slot.countFailure(now, dice); // it breaks as soon as it is made: not too fast
    } else {
      slot.hasFailed = false;
      slot.retryAt = now + (this.isSmaller ? 0 : LARGER_WAITS);
    }
    slot.on(slot.isSpent ? "lostLast" : "lost");
  }

  // What concerns all

  /** The far side has begun to dial: leave it a moment before dialling what is missing. */
  defer(now: number): void {
    for (const slot of this.byKind.values()) {
      slot.retryAt = now + FAR_SIDE_DIALS;
      slot.on("deferred");
    }
  }

  /** Some wire works: kinds that had used up their tries get new ones. */
  refresh(): void {
    for (const slot of this.byKind.values()) {
      const isDialling = slot.state === "dialling" || slot.state === "doubling";
      if (slot.canDial && slot.tries >= MAX_TRIES && !isDialling) {
        slot.tries = 0;
        slot.on("renewed");
      }
    }
  }

  /**
   * New wires are to be made beside the present ones, then swapped; returns the present ones, which
   * are in doubt.
   */
  networkChanged(): number[] {
    const doubtful: number[] = [];
    for (const slot of this.byKind.values()) {
      if (!slot.canDial) {
        continue;
      }
      slot.tries = 0;
      slot.on("moved");
      if (slot.state === "stale" || slot.state === "doubling") {
        slot.replacing = Math.max(...slot.wires);
        doubtful.push(...slot.wires);
      }
    }
    return doubtful;
  }

  /** The link has ended. */
  close(): void {
    this.isClosed = true;
    for (const slot of this.byKind.values()) {
      slot.on("close");
    }
  }
}
