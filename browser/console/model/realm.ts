// Who is there, and what each one says of itself. No clock and no socket: `now` is passed in.

import type { Presence, PresenceEvent } from "../../src/protocol/signaling/presence";
import type { ActorView, LaneView, LinkView } from "../gen/actr/services/inspection_pb";
import { bounded } from "./bounds";
import { EventLog } from "./events";
import { isUp, Lives } from "./lives";

/** A console is nobody's business but its reader's. */
const CONSOLE = "actr:console@";
/** Actors of which it is known what they have told. */
const MAX_TOLD = 4096;
/** Milliseconds after which a rate says nothing any more: an actor tells once in a second. */
const STALE_MS = 2500;

/**
 * Where looking at an actor stands (`session/watches.ts`).
 *
 * - `none`: nobody has asked; others are wanted more.
 * - `shut`: it lets nobody look.
 * - `refused`: it lets others look, and not this console.
 * - `busy`: as many look as it lets.
 * - `away`: no link to it works.
 */
export type Looking = "none" | "asking" | "looking" | "shut" | "refused" | "busy" | "away";

export interface Rates {
  readonly sent: number;
  readonly received: number;
}

/** One actor as the page knows it. */
export interface Row {
  readonly id: string;
  presence: Presence;
  /** When the page heard of it, in milliseconds. */
  readonly seenAt: number;
  looking: Looking;
  /** Why it is not looked at, in words that may be anybody's. */
  why: string;
  view: ActorView | undefined;
  /** When that came. */
  viewedAt: number;
  /** What to add to its clock to have the page's. */
  skew: number;
  /** Messages a second, by remote and lane. */
  readonly rates: Map<string, Rates>;
}

/** Whether an actor's own word of its incarnation, in hex, is that of its presence. */
function isOf(told: string | undefined, { incarnation }: Presence): boolean {
  return told?.padStart(16, "0") === incarnation.toString(16).padStart(16, "0");
}

export function isConsole(id: string): boolean {
  return id.startsWith(CONSOLE);
}

export class Realm {
  readonly rows = new Map<string, Row>();
  readonly events = new EventLog();
  readonly lives = new Lives();
  /** How many changes of wires each process has told: who is looked at again tells them again. */
  readonly #told = new Map<string, { readonly incarnation: string; readonly count: number }>();

  /** Who is there when the page comes: none of it is news. */
  fill(present: readonly Presence[], now: number): void {
    for (const presence of present) {
      this.#put(presence, now);
    }
  }

  /** Somebody came, changed or left; true where it is another process now. */
  presence(event: PresenceEvent, now: number): boolean {
    const { presence, change, reason } = event;
    const id = presence.id.text;
    const known = this.rows.get(id);
    if (change === "leave") {
      if (known !== undefined) {
        this.rows.delete(id);
        this.#left(id, reason, now);
        this.events.add({ at: now, kind: "leave", actor: id, text: leaving[reason] });
      }
      return false;
    }
    if (known === undefined) {
      this.#put(presence, now);
      this.events.add({ at: now, kind: "join", actor: id, text: "is online" });
      return true;
    }
    const isAnother = known.presence.incarnation !== presence.incarnation;
    known.presence = presence;
    if (isAnother && !isOf(this.#told.get(id)?.incarnation, presence)) {
      this.lives.end(id, now, "failed");
    }
    return isAnother;
  }

  /** What that says of its wires: nothing, where signaling alone may have lost it. */
  #left(id: string, reason: PresenceEvent["reason"], now: number): void {
    if (reason === "closed") {
      this.lives.end(id, now, "idle"); // it has let them go, or does just now
    } else if (reason === "replaced") {
      this.lives.end(id, now, "failed");
    }
  }

  #put(presence: Presence, now: number): void {
    const id = presence.id.text;
    this.rows.set(id, {
      id,
      presence,
      seenAt: now,
      looking: "none",
      why: "",
      view: undefined,
      viewedAt: 0,
      skew: 0,
      rates: new Map(),
    });
  }

  looking(id: string, state: Looking, why: string): void {
    const row = this.rows.get(id);
    if (row !== undefined) {
      row.looking = state;
      row.why = why;
      if (state !== "looking" && state !== "asking") {
        row.view = undefined;
        row.rates.clear();
      }
    }
  }

  /** What an actor tells of itself. */
  view(id: string, all: ActorView, now: number): void {
    const view = bounded(all);
    const row = this.rows.get(id);
    if (row === undefined) {
      return;
    }
    row.skew = now - Number(view.nowMs);
    this.#note(row, view, now);
    for (const { remote, wires } of view.links) {
      wires.forEach(({ kind, state }) => this.lives.revive(id, remote, kind, now, state));
    }
    if (view.linkCount <= view.links.length) {
      // All of them: of a link that has ended, an actor tells nothing more.
      this.lives.end(id, now, "idle", new Set(view.links.map(({ remote }) => remote)));
    }
    const before = row.view?.incarnation === view.incarnation ? row.view : undefined;
    if (before !== undefined) {
      const seconds = (Number(view.nowMs) - Number(before.nowMs)) / 1000;
      rates(row.rates, before, view, seconds);
      this.#mishaps(id, before, view, now);
    }
    row.view = view;
    row.viewedAt = now;
  }

  /** Wires that came and went. */
  #note({ id, skew }: Row, { changes, incarnation, changeCount }: ActorView, now: number): void {
    const told = this.#told.get(id);
    if (told !== undefined && told.incarnation !== incarnation) {
      this.lives.end(id, now, "failed");
    }
    const news = Number(changeCount) - (told?.incarnation === incarnation ? told.count : 0);
    this.#told.delete(id);
    this.#told.set(id, { incarnation, count: Number(changeCount) });
    if (this.#told.size > MAX_TOLD) {
      this.#told.delete(this.#told.keys().next().value!);
    }
    for (const { atMs, remote, kind, state } of changes.slice(Math.max(0, changes.length - news))) {
      if (isConsole(remote)) {
        continue;
      }
      const at = Math.max(0, Math.min(now, Number(atMs) + skew)); // nothing has happened that is yet to come
      const before = this.lives.note(id, remote, kind, at, state);
      if (before === undefined) {
        continue;
      }
      if (state === "ready" && before !== "suspect") {
        this.events.add({ at, kind: "up", actor: id, remote, wire: kind, text: "is up" });
      } else if (isUp(before) && !isUp(state)) {
        this.events.add({ at, kind: "down", actor: id, remote, wire: kind, text: "went down" });
      }
    }
  }

  /** Counts that rose, and troubles that are new. */
  #mishaps(id: string, before: ActorView, view: ActorView, at: number): void {
    const say = (text: string) => this.events.add({ at, kind: "error", actor: id, text });
    for (const [name, was, is] of [
      ["refused", before.refused, view.refused],
      ["failed", before.failures, view.failures],
    ] as const) {
      for (const [cause, number] of Object.entries(is)) {
        const more = number - (Object.hasOwn(was, cause) ? was[cause]! : 0n);
        if (more > 0n) {
          say(`${name}: ${cause}${more > 1n ? ` (${more} times)` : ""}`);
        }
      }
    }
    const dead = (view.mailbox?.dead ?? 0) - (before.mailbox?.dead ?? 0);
    if (dead > 0) {
      say(`${dead} more dead ${dead === 1 ? "letter" : "letters"}`);
    }
    for (const [where, was, is] of [
      ["mailbox", before.mailbox?.trouble, view.mailbox?.trouble],
      ["outbox", before.outbox?.trouble, view.outbox?.trouble],
    ] as const) {
      if (is && is !== was) {
        say(`${where}: ${is}`);
      }
    }
  }
}

const leaving = {
  none: "has left",
  closed: "has left",
  expired: "was lost: no sign of life",
  replaced: "was replaced by a newer process",
  drained: "was left behind by a service that stopped",
  kicked: "was put out",
} as const;

/** Sets what each lane carries in a second, from two views of one process. */
function rates(found: Map<string, Rates>, before: ActorView, now: ActorView, seconds: number): void {
  found.clear();
  if (seconds <= 0) {
    return;
  }
  const known = new Map<string, LaneView>();
  for (const { remote, lanes } of before.links) {
    lanes.forEach((lane) => known.set(`${remote} ${lane.lane}`, lane));
  }
  // It may have been there, and not told of: its counts are no news of this second.
  const isPart = before.linkCount > before.links.length;
  const told = new Set(before.links.map(({ remote }) => remote));
  for (const { remote, lanes } of now.links) {
    if (isPart && !told.has(remote)) {
      continue;
    }
    for (const lane of lanes) {
      const key = `${remote} ${lane.lane}`;
      const was = known.get(key);
      // A link that was made anew counts from 0.
      const rose = (is: bigint, of: bigint | undefined) => Math.max(0, Number(is - (of ?? 0n))) / seconds;
      found.set(key, { sent: rose(lane.sent, was?.sent), received: rose(lane.received, was?.received) });
    }
  }
}

export function rateOf(row: Row, remote: string, lane: string, now: number): Rates {
  const isStale = now - row.viewedAt > STALE_MS;
  return (isStale ? undefined : row.rates.get(`${remote} ${lane}`)) ?? { sent: 0, received: 0 };
}

/** Links to others, but for those of consoles. */
export function linksOf(row: Row): readonly LinkView[] {
  return (row.view?.links ?? []).filter(({ remote }) => !isConsole(remote));
}
