// Who talks with whom: a matrix of all links that are told of, and the last minutes of their wires.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { type Cell, linksIn, type Matrix, matrixOf, standing } from "../model/matrix";
import { many, roundTrip, short } from "../model/words";
import { MAX_WATCHES } from "../session/watches";
import { Id } from "./parts";
import { toActor, toLink } from "./route";
import type { Store } from "./store";
import { Strip } from "./strip";

/** The last minutes, in milliseconds. */
export const WINDOW = 10 * 60 * 1000;
/** Links whose strips are shown. */
const MAX_STRIPS = 40;

const text = signal("");

export function LinksPage({ store }: { store: Store }) {
  store.frame.value;
  store.second.value;
  const { realm } = store;
  useEffect(() => store.want([]), [realm.rows.size]);
  const now = Date.now();
  const matrix = matrixOf(realm.rows.values(), realm.lives, text.value, now - WINDOW);
  const looked = [...realm.rows.values()].filter(({ looking }) => looking === "looking").length;
  return (
    <section class="page" aria-labelledby="links">
      <div class="bar-of-tools">
        <h1 id="links">Links</h1>
        <label class="search">
          <span class="hidden">Filter</span>
          <input
            type="search"
            placeholder="Filter by id"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <p class="muted counts" role="status">
          As {many(looked, "actor")} of {realm.rows.size} {looked === 1 ? "tells" : "tell"} it
          {realm.rows.size > MAX_WATCHES && `; at most ${MAX_WATCHES} are looked into`}
          {matrix.left > 0 && `; ${many(matrix.left, "more actor")} by the filter`}
        </p>
      </div>
      {matrix.axis.length === 0 ? (
        <p class="empty">No link is told of. Actors that let themselves be looked at tell of theirs.</p>
      ) : (
        <>
          <Table matrix={matrix} />
          <Strips store={store} matrix={matrix} now={now} />
        </>
      )}
    </section>
  );
}

function Table({ matrix }: { matrix: Matrix }) {
  return (
    <div class="scroll card matrix" tabIndex={0} role="region" aria-label="Matrix of links">
      <table>
        <thead>
          <tr>
            <td />
            {matrix.axis.map((id) => (
              <th key={id} scope="col">
                <Id id={id} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {matrix.axis.map((one) => (
            <tr key={one}>
              <th scope="row">
                <a href={toActor(one)}>
                  <Id id={one} />
                </a>
              </th>
              {matrix.axis.map((other) => (
                <td key={other} class={one === other ? "self" : undefined}>
                  <OneCell cell={matrix.cells.get(`${one} ${other}`)} one={one} other={other} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const SHORT: Record<string, string> = { webrtc: "RTC", websocket: "WS" };

function OneCell({ cell, one, other }: { cell: Cell | undefined; one: string; other: string }) {
  if (cell === undefined || one === other) {
    return null;
  }
  const { active, cuts } = cell;
  const state = standing(cell);
  const trip = active === undefined ? "" : roundTrip(active.roundTripUs);
  return (
    <a class={`cell cell-${state}`} href={toLink(one, other)}>
      <span class="hidden">
        {short(one)} and {short(other)}:{" "}
      </span>
      <strong title={active?.kind}>{active === undefined ? state : (SHORT[active.kind] ?? active.kind)}</strong>
      {active !== undefined && <span class="hidden"> {state} </span>}
      {state === "suspect" && <span class="warn">?</span>}
      <span class="number">{trip}</span>
      {active?.isRelayed && <span class="tag">relayed</span>}
      {cuts > 0 && (
        <span class="tag cuts">
          {cuts} <span aria-hidden="true">✕</span>
          <span class="hidden"> broken lately</span>
        </span>
      )}
    </a>
  );
}

function Strips({ store, matrix, now }: { store: Store; matrix: Matrix; now: number }) {
  const { lives } = store.realm;
  const links = linksIn(matrix);
  return (
    <section class="card strips" aria-labelledby="strips">
      <h2 id="strips">The last ten minutes of each wire</h2>
      <ul>
        {links.slice(0, MAX_STRIPS).map(({ one, other, cuts }) => (
          <li key={`${one} ${other}`}>
            <a href={toLink(one, other)}>
              <Id id={one} /> <span aria-hidden="true">⇄</span>
              <span class="hidden"> and </span> <Id id={other} />
            </a>
            <span class={cuts > 0 ? "warn number" : "muted number"}>{cuts > 0 ? `broke ${many(cuts, "time")}` : "steady"}</span>
            <div class="stack">
              {lives.kinds(one, other).map((kind) => (
                <div key={kind} class="labelled">
                  <span class="muted">{kind}</span>
                  <Strip lives={lives} one={one} other={other} kind={kind} from={now - WINDOW} to={now} />
                </div>
              ))}
            </div>
          </li>
        ))}
      </ul>
      {links.length > MAX_STRIPS && <p class="muted">{many(links.length - MAX_STRIPS, "more link")} by the filter.</p>}
      <Legend />
    </section>
  );
}

export function Legend() {
  return (
    <ul class="legend muted">
      {[
        ["ready", "up"],
        ["suspect", "no heartbeat"],
        ["connecting", "being made"],
        ["failed", "broken"],
        ["idle", "not wanted"],
      ].map(([state, word]) => (
        <li key={state}>
          <span class={`swatch span-${state}`} aria-hidden="true" /> {word}
        </li>
      ))}
    </ul>
  );
}
