// Who is online, as the signaling service tells it (docs/signaling.md).

import type { ActrId } from "../identity/ids";

/** Actors that are shown; a service that tells of more is not believed. */
export const MAX_HELD = 65_536;
const MAX_LEFT = 4096;

type Texts = Readonly<Record<string, string>>;

/** How busy an actor is: discovery prefers who is less so. */
export interface Load {
  /** Requests waiting. */
  readonly mailboxBacklog: number;
  /** 0 (none left) to 1 (idle). */
  readonly powerReserve: number;
}

export const IDLE: Load = { mailboxBacklog: 0, powerReserve: 1 };

/** What an actor says of itself. */
export interface Registration {
  readonly id: ActrId;
  /** Random, new with each start of the process; 64 bits. */
  readonly incarnation: bigint;
  /** Of its WebSocket listener; empty: it has none. */
  readonly wsAddress?: string;
  /** `package.Service` and the fingerprint of each. */
  readonly services?: readonly (readonly [string, string])[];
  /** Shown to others; at most 16 entries of 256 bytes. */
  readonly metadata?: Texts;
  /** In no snapshot, event or discovery: reachable by who knows the id. */
  readonly isHidden?: boolean;
  /** Realms besides its own whose actors may see and reach this one. */
  readonly allowedRealms?: readonly string[];
  /** Whether it takes its identity from another process that holds it; it does if nothing is said. */
  readonly takesOver?: boolean;
}

/** An actor that is online. */
export interface Presence {
  readonly id: ActrId;
  readonly incarnation: bigint;
  readonly wsAddress: string;
  readonly services: readonly (readonly [string, string])[];
  readonly metadata: Texts;
  readonly load: Load;
  /** Rises with each registration of the same identity. */
  readonly epoch: bigint;
}

export type Change = "join" | "update" | "leave";

/** Why an actor left. */
export type Reason = "none" | "closed" | "expired" | "replaced" | "drained" | "kicked";

/** An actor came, changed or left. */
export interface PresenceEvent {
  readonly kind: "presence";
  readonly change: Change;
  readonly presence: Presence;
  readonly version: bigint;
  readonly reason: Reason;
}

/** What an actor says of itself, as one text to compare; its services and metadata in any order. */
export function said(presence: Presence): string {
  const { id, wsAddress, incarnation, services, metadata } = presence;
  const sorted = (pairs: readonly (readonly [string, string])[]) =>
    pairs.map((pair) => JSON.stringify(pair)).sort();
  return JSON.stringify([
    id.text,
    wsAddress,
    String(incarnation),
    sorted([...new Map(services)]),
    sorted(Object.entries(metadata)),
  ]);
}

interface Held {
  readonly presence: Presence;
  readonly version: bigint;
}

/**
 * Who is online among the types subscribed to, from snapshots and events.
 *
 * On one connection a snapshot and what follows come in order. A replica that was behind may still
 * tell of an older session: (epoch, version) never goes back for an actor that is held, and the epoch
 * of one that left is remembered for a while: an older session does not come back.
 */
export class PresenceView {
  readonly #held = new Map<string, Held>();
  /** Epochs of those that left, newest last. */
  readonly #left = new Map<string, bigint>();

  get size(): number {
    return this.#held.size;
  }

  find(id: ActrId): Presence | undefined {
    return this.#held.get(id.text)?.presence;
  }

  /** Those of one type, or all when it is empty. */
  ofType(actrType: string): Presence[] {
    const all = [...this.#held.values()].map(({ presence }) => presence);
    return actrType === "" ? all : all.filter(({ id }) => id.actrType === actrType);
  }

  /** Takes a snapshot of one type, or of all when it is empty; returns what is new by it. */
  reset(actrType: string, version: bigint, present: readonly Presence[]): PresenceEvent[] {
    const events: PresenceEvent[] = [];
    const tell = (change: Change, presence: Presence, reason: Reason = "none") => {
      events.push({ kind: "presence", change, presence, version, reason });
    };
    const missing = new Map(this.ofType(actrType).map((presence) => [presence.id.text, presence]));
    for (const presence of present) {
      const old = missing.get(presence.id.text);
      missing.delete(presence.id.text);
      if (this.#isOld(presence) || (old === undefined && this.size >= MAX_HELD)) {
        continue;
      }
      this.#held.set(presence.id.text, { presence, version });
      if (old === undefined) {
        tell("join", presence);
      } else if (old.incarnation !== presence.incarnation) {
        tell("leave", old, "replaced");
        tell("join", presence);
      } else if (said(old) !== said(presence)) {
        tell("update", presence);
      }
    }
    for (const presence of missing.values()) {
      this.#drop(presence);
      tell("leave", presence);
    }
    return events;
  }

  /** Takes an event; false when it says nothing new and is to be dropped. */
  apply(event: PresenceEvent): boolean {
    const { presence, version } = event;
    const held = this.#held.get(presence.id.text);
    if (event.change === "leave") {
      if (held === undefined || presence.epoch < held.presence.epoch) {
        return false;
      }
      this.#drop(presence);
      return true;
    }
    if (this.#isOld(presence) || (held === undefined && this.size >= MAX_HELD)) {
      return false;
    }
    if (held?.presence.epoch === presence.epoch && version <= held.version) {
      return false;
    }
    this.#held.set(presence.id.text, { presence, version });
    return true;
  }

  #isOld(presence: Presence): boolean {
    const { id, epoch } = presence;
    const known = this.#held.get(id.text)?.presence.epoch ?? this.#left.get(id.text) ?? 0n;
    return epoch < known;
  }

  #drop({ id, epoch }: Presence): void {
    const held = this.#held.get(id.text)?.presence.epoch ?? 0n;
    this.#held.delete(id.text);
    this.#left.delete(id.text);
    this.#left.set(id.text, epoch > held ? epoch : held);
    if (this.#left.size > MAX_LEFT) {
      this.#left.delete(this.#left.keys().next().value!);
    }
  }

  /** Drops a type that is no longer subscribed to, unless another subscription holds it. */
  forget(actrType: string, stillWanted: ReadonlySet<string>): void {
    if (stillWanted.has("")) {
      return;
    }
    for (const { id } of this.ofType(actrType)) {
      if (!stillWanted.has(id.actrType)) {
        this.#held.delete(id.text);
      }
    }
  }
}
