// Which of the open wires to one remote new frames take, and which can be closed.
//
// What is dialled is decided in `slots`.

import { WireKind } from "../../payload";

/** Where one kind of wire to one remote stands. */
export enum WireState {
  /** Not dialled. */
  IDLE = "idle",
  /** Dialled, or open and not yet greeted by the far side. */
  CONNECTING = "connecting",
  READY = "ready",
  /** Open, and its heartbeat is missing: not preferred. */
  SUSPECT = "suspect",
  /** Dialling failed, or the wire died. */
  FAILED = "failed",
}

/** What the policy may know of one open wire that the far side has greeted. */
export interface WireView {
  /** Larger is newer. */
  readonly id: number;
  readonly kind: WireKind;
  readonly state: WireState;
  /** Several good heartbeats in a row. */
  readonly isTrusted: boolean;
  /** By this side. */
  readonly wasDialled: boolean;
  readonly openedAt: number;
  /** When it was first trusted. */
  readonly provedAt: number;
  /** Whether its last ping was answered: a SUSPECT one recovers. */
  readonly isAnswering: boolean;
}

/**
 * The wire that new frames should take, or null if there is none.
 *
 * The one in use stays while it is READY, until a preferred one has proved itself. When all are
 * SUSPECT, the best of them is used anyway, one that recovers before one that does not.
 *
 * @param prefer kinds, best first
 * @param current id of the wire in use
 */
export function best(
  wires: readonly WireView[],
  prefer: readonly WireKind[],
  current: number | null,
): number | null {
  let usable = wires.filter((wire) => wire.state === WireState.READY);
  if (usable.length === 0) {
    const suspect = wires.filter((wire) => wire.state === WireState.SUSPECT);
    const answering = suspect.filter((wire) => wire.isAnswering);
    usable = answering.length > 0 ? answering : suspect;
  }
  const rank = ({ kind }: WireView) => (prefer.includes(kind) ? prefer.indexOf(kind) : prefer.length);
  usable.sort((a, b) => rank(a) - rank(b) || b.id - a.id);
  if (usable.some((wire) => wire.id === current)) {
    return usable.find((wire) => wire.id === current || wire.isTrusted)!.id;
  }
  return usable[0]?.id ?? null;
}

/**
 * Ids of the relayed ones among `wires`, once another one is trusted.
 *
 * @param decides whether this side has the smaller id
 */
export function unneeded(wires: readonly WireView[], decides: boolean): number[] {
  const isRelayed = ({ kind }: WireView) => kind === WireKind.RELAYED;
  const isBetter = (wire: WireView) => !isRelayed(wire) && wire.state === WireState.READY && wire.isTrusted;
  return decides && wires.some(isBetter) ? wires.filter(isRelayed).map((wire) => wire.id) : [];
}

/**
 * Ids of wires of one kind that can be closed; nothing is lost by it.
 *
 * One side decides, so that the two never close different ones: the smaller `ActrId`. The other
 * closes only what it has replaced itself, after its network has changed. Of two that were dialled
 * at the same time, before either had proved itself, the one that the deciding side dialled is
 * kept; otherwise the newer replaces the older. The one to keep must have proved itself.
 *
 * @param decides whether this side has the smaller id
 */
export function superfluous(wires: readonly WireView[], decides: boolean): number[] {
  if (!decides || wires.length < 2) {
    return [];
  }
  const newer = (a: WireView, b: WireView) => (b.id > a.id ? b : a);
  const newest = wires.reduce(newer);
  let keep = newest;
  if (!newest.wasDialled) {
    const own = wires.filter((wire) => wire.wasDialled && newest.openedAt < wire.provedAt);
    keep = own.length > 0 ? own.reduce(newer) : newest;
  }
  if (keep.state !== WireState.READY || !keep.isTrusted) {
    return [];
  }
  return wires.filter((wire) => wire !== keep).map((wire) => wire.id);
}
