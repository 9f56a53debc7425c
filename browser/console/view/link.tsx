// One link: the death and return of each of its wires, as a strip and as a list.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { LinkView } from "../gen/actr/services/inspection_pb";
import { isUp, type Lives, type Told } from "../model/lives";
import { clock, duration, roundTrip } from "../model/words";
import { Wire } from "./actor/links";
import { Legend } from "./links";
import { Id, Mark, type Tone } from "./parts";
import { toActor, toLinks } from "./route";
import type { Store } from "./store";
import { Strip } from "./strip";

/** Minutes that can be shown. */
const WINDOWS = [1, 10, 60] as const;
/** Changes that are listed. */
const MAX_LISTED = 100;

const minutes = signal<(typeof WINDOWS)[number]>(10);

export function LinkPage({ store, one, other }: { store: Store; one: string; other: string }) {
  store.frame.value;
  store.second.value;
  const { lives } = store.realm;
  useEffect(() => store.want([one, other]), [one, other, store.realm.rows.size]);
  const to = Date.now();
  const from = to - minutes.value * 60_000;
  const kinds = lives.kinds(one, other);
  return (
    <article class="page" aria-labelledby="link">
      <p class="path">
        <a href={toLinks}>Links</a> <span aria-hidden="true">/</span>
      </p>
      <h1 id="link" class="between">
        <a href={toActor(one)}>
          <Id id={one} />
        </a>{" "}
        <span class="muted" aria-label="and">
          ⇄
        </span>{" "}
        <a href={toActor(other)}>
          <Id id={other} />
        </a>
      </h1>
      <div class="panels">
        <Side store={store} one={one} other={other} />
        <Side store={store} one={other} other={one} />
        <section class="card wide strips" aria-labelledby="lives">
          <div class="bar-of-tools">
            <h2 id="lives">Its wires over time</h2>
            <label class="order">
              The last{" "}
              <select
                value={String(minutes.value)}
                onChange={(event) => (minutes.value = Number(event.currentTarget.value) as typeof minutes.value)}
              >
                {WINDOWS.map((each) => (
                  <option key={each} value={String(each)}>
                    {each === 1 ? "minute" : `${each} minutes`}
                  </option>
                ))}
              </select>
            </label>
          </div>
          {kinds.map((kind) => (
            <div key={kind} class="labelled tall">
              <span>{kind}</span>
              <Strip lives={lives} one={one} other={other} kind={kind} from={from} to={to} />
            </div>
          ))}
          <Legend />
        </section>
        <section class="card wide" aria-labelledby="changes">
          <h2 id="changes">What happened</h2>
          {kinds.length === 0 ? <p class="muted">Nothing is known of it yet.</p> : <Changes lives={lives} one={one} other={other} />}
        </section>
      </div>
    </article>
  );
}

/** The link as one of its ends has it. */
function Side({ store, one, other }: { store: Store; one: string; other: string }) {
  const row = store.row(one);
  const link: LinkView | undefined = row?.view?.links.find(({ remote }) => remote === other);
  const active = link?.wires.find(({ isActive }) => isActive);
  return (
    <section class="card" aria-label={`As ${one} has it`}>
      <h2>
        <span class="muted">as it is for</span> <Id id={one} />
      </h2>
      {link === undefined ? (
        <p class="muted">{row === undefined ? "It is not online, or hidden." : row.view ? "It has no such link now." : "It is not looked into."}</p>
      ) : (
        <>
          <p class="link-head">
            {link.wires.map((wire) => (
              <Wire key={wire.kind} wire={wire} />
            ))}
          </p>
          {active !== undefined && <p class="muted">Messages take {active.kind}{active.roundTripUs > 0 && `, ${roundTrip(active.roundTripUs)} there and back`}.</p>}
          {link.trouble && <p class="trouble">{link.trouble}</p>}
        </>
      )}
    </section>
  );
}

interface Change extends Told {
  readonly kind: string;
  /** The one before it of the same kind. */
  readonly before: Told | undefined;
}

function Changes({ lives, one, other }: { lives: Lives; one: string; other: string }) {
  const all: Change[] = lives.kinds(one, other).flatMap((kind) => {
    const moments = lives.moments(one, other, kind);
    return moments.map((moment, place) => ({ ...moment, kind, before: moments[place - 1] }));
  });
  all.sort((a, b) => b.at - a.at);
  return (
    <ol class="events">
      {all.slice(0, MAX_LISTED).map((change) => {
        const { tone, text } = tell(change);
        return (
          <li key={`${change.kind} ${change.at} ${change.state}`}>
            <time class="muted number">{clock(change.at)}</time>
            <Mark tone={tone}>{change.kind}</Mark>
            <span class="what">{text}</span>
          </li>
        );
      })}
    </ol>
  );
}

function tell({ state, at, isCut, before }: Change): { tone: Tone; text: string } {
  const lasted = before === undefined ? "" : length(at - before.at);
  if (isCut) {
    return { tone: "bad", text: `broke; it had been up for ${lasted}` };
  }
  switch (state) {
    case "ready":
      if (before?.state === "suspect") {
        return { tone: "good", text: `heard again, after ${lasted}` };
      }
      return { tone: "good", text: before?.state === "connecting" ? `is up, ${lasted} after it was dialled` : "is up" };
    case "suspect":
      return { tone: "warn", text: "its heartbeat is missing" };
    case "connecting":
      return { tone: "none", text: "is being made" };
    case "failed":
      return { tone: "bad", text: "came to nothing" };
    case "idle":
      return { tone: "none", text: isUp(before?.state) ? `ended; it had been up for ${lasted}` : "is not wanted" };
  }
}

/** Milliseconds; short ones to the tenth of a second. */
function length(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms / 1000);
}
