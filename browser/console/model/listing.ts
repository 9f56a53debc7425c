// Which actors are listed, in which order, and which of them are on the screen.

import type { Row } from "./realm";

export type Order = "id" | "load" | "uptime";

/** Those whose id, services or metadata have the text, in order. */
export function listed(rows: Iterable<Row>, text: string, order: Order): Row[] {
  const wanted = text.trim().toLowerCase();
  const found = [...rows].filter((row) => wanted === "" || searched(row).includes(wanted));
  const by: Record<Order, (row: Row) => number> = {
    id: () => 0,
    load: ({ presence }) => -presence.load.mailboxBacklog + presence.load.powerReserve,
    uptime: (row) => (row.view === undefined ? Infinity : Number(row.view.startedAtMs) + row.skew),
  };
  const key = new Map(found.map((row) => [row, by[order](row)]));
  return found.sort((one, other) => {
    const [a, b] = [key.get(one)!, key.get(other)!];
    return a === b ? compareIds(one.id, other.id) : a - b;
  });
}

function searched({ id, presence }: Row): string {
  const services = presence.services.map(([service]) => service);
  return [id, ...services, ...Object.entries(presence.metadata).flat()].join(" ").toLowerCase();
}

const numbers = new Intl.Collator("en", { numeric: true });

/** `room@2` before `room@10`. */
export function compareIds(one: string, other: string): number {
  return numbers.compare(one, other);
}

/** First and behind the last row to have in the page. */
export function windowOf(scrollTop: number, height: number, rowHeight: number, total: number, more: number): [number, number] {
  const first = Math.floor(scrollTop / rowHeight);
  const behind = Math.ceil((scrollTop + height) / rowHeight);
  return [Math.min(Math.max(0, first - more), total), Math.max(0, Math.min(total, behind + more))];
}
