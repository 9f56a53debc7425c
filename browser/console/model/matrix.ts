// Links as a matrix: who talks with whom, by what each of the two says.

import type { LinkView, WireView } from "../gen/actr/services/inspection_pb";
import { compareIds } from "./listing";
import { isUp, type Lives } from "./lives";
import { linksOf, type Row } from "./realm";

/** Actors on an axis: what is over it is said, and found by the filter. */
export const MAX_AXIS = 24;

/** Links that are considered: actors may tell of many thousands. */
export const MAX_CELLS = 2048;

export interface Cell {
  readonly one: string;
  readonly other: string;
  /** As `one` tells of it, or else `other`. */
  readonly link: LinkView;
  /** What messages take. */
  readonly active: WireView | undefined;
  /** How often its wires broke lately. */
  readonly cuts: number;
}

export interface Matrix {
  /** Who has a link, in order. */
  readonly axis: readonly string[];
  /** How many were left out. */
  readonly left: number;
  /** By both ids, in either order. */
  readonly cells: ReadonlyMap<string, Cell>;
}

/**
 * Links of all actors that are looked into.
 *
 * @param text part of an id; links of which neither end has it are left out
 * @param since from when on cuts are counted
 */
export function matrixOf(rows: Iterable<Row>, lives: Lives, text: string, since: number): Matrix {
  const wanted = text.trim().toLowerCase();
  const cells = new Map<string, Cell>();
  for (const row of rows) {
    for (const link of linksOf(row)) {
      if (cells.size >= MAX_CELLS) {
        break;
      }
      const [one, other] = [row.id, link.remote];
      if (wanted === "" || `${one} ${other}`.toLowerCase().includes(wanted)) {
        const active = link.wires.find(({ isActive }) => isActive);
        const cell = { one, other, link, active, cuts: lives.cuts(one, other, since) };
        cells.set(`${one} ${other}`, cell);
        if (!cells.has(`${other} ${one}`)) {
          cells.set(`${other} ${one}`, cell);
        }
      }
    }
  }
  const all = [...new Set([...cells.values()].flatMap(({ one, other }) => [one, other]))].sort(compareIds);
  return { axis: all.slice(0, MAX_AXIS), left: Math.max(0, all.length - MAX_AXIS), cells };
}

/** Each link once, those that broke last first, then by their ids. */
export function linksIn({ cells }: Matrix): Cell[] {
  const found = [...cells.entries()].filter(([key, { one, other }]) => {
    const isOwn = key === `${one} ${other}`;
    const isToldTwice = cells.get(`${other} ${one}`)?.one === other;
    return isOwn && (!isToldTwice || one < other);
  });
  return found
    .map(([, cell]) => cell)
    .sort((a, b) => b.cuts - a.cuts || compareIds(a.one, b.one) || compareIds(a.other, b.other));
}

/** How a link stands, in one word. */
export function standing({ active, link }: Cell): "up" | "suspect" | "connecting" | "down" {
  if (active !== undefined && isUp(active.state)) {
    return active.state === "suspect" ? "suspect" : "up";
  }
  if (link.wires.some(({ state }) => isUp(state))) {
    return "suspect";
  }
  return link.wires.some(({ state }) => state === "connecting") ? "connecting" : "down";
}
