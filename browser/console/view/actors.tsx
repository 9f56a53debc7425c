// Who is there: a row for each actor of the realm, of which only those on the screen are in the page.

import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { listed, type Order, windowOf } from "../model/listing";
import { linksOf, type Row } from "../model/realm";
import { count, duration, many } from "../model/words";
import { MAX_WATCHES } from "../session/watches";
import { Bar, Id, lookOf, Mark } from "./parts";
import { go, toActor } from "./route";
import type { Store } from "./store";

/** Pixels, as the styles have it. */
const ROW_HEIGHT = 44;
/** Rows beyond the edges of the screen, so that scrolling shows no gap. */
const MORE = 6;

const text = signal("");
const order = signal<Order>("id");
/** The actor that the keyboard is at. */
const current = signal("");

export function ActorsPage({ store }: { store: Store }) {
  store.frame.value;
  const rows = listed(store.realm.rows.values(), text.value, order.value);
  return (
    <section class="page" aria-labelledby="actors">
      <div class="bar-of-tools">
        <h1 id="actors">Actors</h1>
        <label class="search">
          <span class="hidden">Filter</span>
          <input
            type="search"
            placeholder="Filter by id, service or metadata"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <label class="order">
          Order{" "}
          <select value={order.value} onChange={(event) => (order.value = event.currentTarget.value as Order)}>
            <option value="id">by id</option>
            <option value="load">busiest first</option>
            <option value="uptime">oldest first</option>
          </select>
        </label>
        <Counts store={store} shown={rows.length} />
      </div>
      {rows.length === 0 ? <Nobody store={store} /> : <Grid store={store} rows={rows} />}
    </section>
  );
}

function Counts({ store, shown }: { store: Store; shown: number }) {
  const total = store.realm.rows.size;
  const isCut = total > MAX_WATCHES;
  return (
    <p class="muted counts" role="status">
      {shown === total ? many(total, "actor") : `${count(shown)} of ${many(total, "actor")}`}
      {isCut && `; ${MAX_WATCHES} at most are looked into at once: those on the screen`}
    </p>
  );
}

function Nobody({ store }: { store: Store }) {
  const isEmpty = store.realm.rows.size === 0;
  return (
    <p class="empty">
      {isEmpty ? "Nobody is online in this realm. Who joins appears here." : "No actor has this in its id, services or metadata."}
    </p>
  );
}

function Grid({ store, rows }: { store: Store; rows: readonly Row[] }) {
  const grid = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, 40]);
  const measure = () => {
    if (grid.current === null) {
      return; // the page shows another by now
    }
    const { scrollTop, clientHeight } = grid.current;
    const next = windowOf(scrollTop, clientHeight - ROW_HEIGHT, ROW_HEIGHT, rows.length, MORE);
    setRange((known) => (known[0] === next[0] && known[1] === next[1] ? known : next));
  };
  useLayoutEffect(measure);
  const measured = useRef(measure);
  measured.current = measure;
  useEffect(() => {
    const watcher = new ResizeObserver(() => measured.current());
    watcher.observe(grid.current!);
    return () => watcher.disconnect();
  }, []);

  const place = rows.findIndex(({ id }) => id === current.value);
  const first = Math.min(range[0], rows.length);
  const shown = rows.slice(first, range[1]);
  useWanted(store, shown);

  const onKeyDown = (event: KeyboardEvent) => {
    const next = keyed(event.key, place, rows.length, Math.floor(grid.current!.clientHeight / ROW_HEIGHT) - 2);
    if (next !== undefined) {
      event.preventDefault();
      current.value = rows[next]!.id;
      reveal(grid.current!, next);
    } else if (event.key === "Enter" && place >= 0) {
      event.preventDefault();
      go(toActor(current.value));
    }
  };
  const active = place >= first && place < first + shown.length ? `row-${place}` : undefined;
  return (
    <div
      ref={grid}
      class="grid"
      role="grid"
      aria-label="Actors of the realm"
      aria-rowcount={rows.length + 1}
      aria-activedescendant={active}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={onKeyDown}
      onFocus={() => {
        if (place < 0 && rows.length > 0) {
          current.value = rows[first]!.id;
        }
      }}
    >
      <div class="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map(([name, title]) => (
          <span key={name} class={name} role="columnheader">
            {title}
          </span>
        ))}
      </div>
      <Spacer rows={first} />
      {shown.map((row, index) => (
        <ActorRow key={row.id} store={store} row={row} place={first + index} isCurrent={first + index === place} />
      ))}
      <Spacer rows={rows.length - first - shown.length} />
    </div>
  );
}

const COLUMNS = [
  ["c-id", "Actor"],
  ["c-state", "State"],
  ["c-load", "Load"],
  ["c-links", "Links"],
  ["c-version", "Version"],
  ["c-up", "Up for"],
] as const;

function Spacer({ rows }: { rows: number }) {
  return <div aria-hidden="true" style={{ height: `${Math.max(0, rows) * ROW_HEIGHT}px` }} />;
}

interface RowProps {
  readonly store: Store;
  readonly row: Row;
  readonly place: number;
  readonly isCurrent: boolean;
}

function ActorRow({ store, row, place, isCurrent }: RowProps) {
  const { id, presence, view } = row;
  const { tone, word } = lookOf(row);
  const { mailboxBacklog, powerReserve } = presence.load;
  const free = `${Math.round(powerReserve * 100)} % free`;
  return (
    <div
      id={`row-${place}`}
      class="row"
      role="row"
      aria-rowindex={place + 2}
      aria-selected={isCurrent}
      onClick={() => {
        current.value = id;
        go(toActor(id));
      }}
    >
      <span class="c-id" role="gridcell">
        <a href={toActor(id)} tabIndex={-1}>
          <Id id={id} />
        </a>
      </span>
      <span class="c-state" role="gridcell">
        <Mark tone={tone}>{word}</Mark>
      </span>
      <span class="c-load" role="gridcell">
        <Bar part={1 - powerReserve} label={free} />
        <span class={mailboxBacklog > 0 ? "number" : "number muted"}>{mailboxBacklog > 0 ? `${count(mailboxBacklog)} wait` : "idle"}</span>
      </span>
      <span class="c-links number" role="gridcell">
        {view === undefined ? "" : <Links row={row} />}
      </span>
      <span class="c-version" role="gridcell">
        {view?.version ?? ""}
      </span>
      <span class="c-up number" role="gridcell">
        {view === undefined ? "" : <Uptime store={store} row={row} />}
      </span>
    </div>
  );
}

function Links({ row }: { row: Row }) {
  const links = linksOf(row);
  const down = links.filter(({ wires }) => !wires.some(({ isActive }) => isActive)).length;
  return (
    <>
      {links.length}
      {down > 0 && <span class="bad"> {down} down</span>}
    </>
  );
}

export function Uptime({ store, row }: { store: Store; row: Row }) {
  store.second.value;
  const started = Number(row.view!.startedAtMs) + row.skew;
  return <>{duration((Date.now() - started) / 1000)}</>;
}

/** Says whom to look into: those on the screen, then all others, as far as it goes. */
function useWanted(store: Store, shown: readonly Row[]): void {
  const ids = shown.map(({ id }) => id);
  const key = `${ids.join(" ")} ${store.realm.rows.size}`;
  useEffect(() => store.want(ids), [key]);
}

/** The row that a key leads to; undefined: it leads nowhere. */
function keyed(key: string, place: number, total: number, page: number): number | undefined {
  const steps: Record<string, number> = {
    ArrowDown: place + 1,
    ArrowUp: place - 1,
    PageDown: place + page,
    PageUp: place - page,
    Home: 0,
    End: total - 1,
  };
  const next = steps[key];
  return next === undefined || total === 0 ? undefined : Math.min(total - 1, Math.max(0, next));
}

/** Scrolls a row into sight, below the head that stays. */
function reveal(grid: HTMLElement, place: number): void {
  const top = place * ROW_HEIGHT;
  const room = grid.clientHeight - 2 * ROW_HEIGHT;
  if (top < grid.scrollTop) {
    grid.scrollTop = top;
  } else if (top > grid.scrollTop + room) {
    grid.scrollTop = top - room;
  }
}
