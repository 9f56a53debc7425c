// One actor: what it is, whom it talks with, what waits.

import { useEffect } from "preact/hooks";

import type { Row } from "../../model/realm";
import { Uptime } from "../actors";
import { Id, lookOf, Mark } from "../parts";
import { toActors } from "../route";
import type { Store } from "../store";
import { PANELS } from "./panels";

export function ActorPage({ store, id }: { store: Store; id: string }) {
  store.frame.value;
  const row = store.row(id);
  const isThere = row !== undefined;
  useEffect(() => {
    if (isThere) {
      store.want([id]);
    }
  }, [id, isThere]);
  return (
    <article class="page actor" aria-labelledby="actor">
      <p class="path">
        <a href={toActors}>Actors</a> <span aria-hidden="true">/</span>
      </p>
      <h1 id="actor">
        <Id id={id} isWhole />
      </h1>
      {row === undefined ? (
        <p class="empty">It is not online. When it joins, it is shown here.</p>
      ) : (
        <There store={store} row={row} />
      )}
    </article>
  );
}

function There({ store, row }: { store: Store; row: Row }) {
  const { tone, word } = lookOf(row);
  const { view } = row;
  return (
    <>
      <p class="facts">
        <Mark tone={tone}>{word}</Mark>
        {view !== undefined && (
          <>
            <span>
              <span class="muted">version</span> {view.version}
            </span>
            <span>
              <span class="muted">up for</span> <Uptime store={store} row={row} />
            </span>
          </>
        )}
      </p>
      <WhyNot store={store} row={row} />
      <div class="panels">
        {PANELS.filter(({ isFor }) => isFor?.(row) ?? true).map(({ id, title, View, isWide }) => (
          <section key={id} id={`panel-${id}`} class={isWide ? "card wide" : "card"} aria-labelledby={`title-${id}`}>
            <h2 id={`title-${id}`}>{title}</h2>
            <View store={store} row={row} />
          </section>
        ))}
      </div>
    </>
  );
}

/** Why there is nothing of an actor's inside, and what to do about it. */
function WhyNot({ store, row }: { store: Store; row: Row }) {
  const { looking, why, id } = row;
  if (looking === "looking") {
    return null;
  }
  if (looking === "asking" || looking === "none") {
    return (
      <p class="note waiting" role="status">
        {looking === "asking" ? "Asking it how it stands…" : "It waits for its turn to be asked."}
      </p>
    );
  }
  return (
    <div class="note">
      {looking === "shut" && (
        <p>
          This actor lets nobody look, as every actor until it is told otherwise. Start it with{" "}
          <code>ACTR_ACTOR__INSPECTION=look</code>, or write <code>inspection = "look"</code> under <code>[actor]</code> in
          its <code>actr.toml</code>.
        </p>
      )}
      {looking === "refused" && (
        <p>
          This actor lets others look, and not this console: its access rules must allow it <code>actr.Inspection.Watch</code>.
        </p>
      )}
      {looking === "busy" && <p>As many look at this actor as it lets at once.</p>}
      {looking === "away" && (
        <p>
          The signaling service says that it is online, and no link from this page to it works. A page reaches actors by
          WebRTC: one that speaks WebSocket alone is not reached.
        </p>
      )}
      <p class="muted said">{why}</p>
      <button type="button" onClick={() => store.watches?.again(id)}>
        Ask again
      </button>
    </div>
  );
}
