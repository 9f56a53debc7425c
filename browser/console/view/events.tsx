// What happens, as it comes: newest first, by kind and by text.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { type EventKind, KINDS, MAX_EVENTS, type RealmEvent } from "../model/events";
import { clock, count, many } from "../model/words";
import { Id, Mark, type Tone } from "./parts";
import { toActor, toLink } from "./route";
import type { Store } from "./store";

/** Events in the page; older ones are found by the filter. */
const MAX_SHOWN = 200;

const LABELS: Record<EventKind, string> = { join: "joins", leave: "leaves", up: "wires up", down: "wires down", error: "errors" };
const TONES: Record<EventKind, Tone> = { join: "good", leave: "none", up: "good", down: "bad", error: "warn" };
const WORDS: Record<EventKind, string> = { join: "joined", leave: "left", up: "up", down: "down", error: "error" };

const kinds = signal<ReadonlySet<EventKind>>(new Set(KINDS));
const text = signal("");
/** What was shown when the reader held it; undefined: it goes on. */
const held = signal<readonly RealmEvent[] | undefined>(undefined);

export function EventsPage({ store }: { store: Store }) {
  store.frame.value;
  const { events, rows } = store.realm;
  useEffect(() => store.want([]), [rows.size]);
  const filter = { kinds: kinds.value, text: text.value.trim().toLowerCase() };
  const shown = held.value ?? events.filtered(filter, MAX_SHOWN);
  return (
    <section class="page" aria-labelledby="events">
      <div class="bar-of-tools">
        <h1 id="events">Events</h1>
        <label class="search">
          <span class="hidden">Filter</span>
          <input
            type="search"
            placeholder="Filter by id or text"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <fieldset class="chips">
          <legend class="hidden">Kinds of events</legend>
          {KINDS.map((kind) => (
            <label key={kind}>
              <input type="checkbox" checked={kinds.value.has(kind)} onChange={() => toggle(kind)} />
              {LABELS[kind]}
            </label>
          ))}
        </fieldset>
        <button type="button" aria-pressed={held.value !== undefined} onClick={() => (held.value = held.value ? undefined : shown)}>
          {held.value ? "Go on" : "Hold"}
        </button>
        <p class="muted counts">
          {many(events.total, "event")}
          {events.total > events.size && `, the last ${count(MAX_EVENTS)} kept`}
        </p>
      </div>
      {shown.length === 0 ? (
        <p class="empty">Nothing has happened yet that passes the filter. Joins, leaves, wires and errors appear here.</p>
      ) : (
        <div role="log" aria-live="off" aria-label="Events, newest first">
          <ol class="events card">
            {shown.map((event) => (
              <Line key={event.number} event={event} />
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function toggle(kind: EventKind): void {
  const next = new Set(kinds.value);
  if (!next.delete(kind)) {
    next.add(kind);
  }
  kinds.value = next;
  held.value = undefined;
}

function Line({ event }: { event: RealmEvent }) {
  const { at, kind, actor, remote, wire, text } = event;
  return (
    <li data-kind={kind}>
      <time class="muted number">{clock(at)}</time>
      <Mark tone={TONES[kind]}>{WORDS[kind]}</Mark>
      <span class="what">
        {remote === undefined ? (
          <>
            <a href={toActor(actor)}>
              <Id id={actor} />
            </a>{" "}
            {text}
          </>
        ) : (
          <>
            <strong>{wire}</strong> {text}:{" "}
            <a href={toLink(actor, remote)}>
              <Id id={actor} /> <span aria-hidden="true">⇄</span>
              <span class="hidden"> and </span> <Id id={remote} />
            </a>
          </>
        )}
      </span>
    </li>
  );
}
