// The frame around every page: where one is, who is there, and what hinders.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

import type { SignalingState } from "../../src/wire/signaling/upkeep";
import { many, short } from "../model/words";
import { ActorPage } from "./actor/page";
import { ActorsPage } from "./actors";
import { EventsPage } from "./events";
import { JoinPage } from "./joining";
import { LinkPage } from "./link";
import { LinksPage } from "./links";
import { go, route, toActors, toEvents, toLinks } from "./route";
import type { Store } from "./store";

const theme = signal<"auto" | "light" | "dark">("auto");
const NEXT = { auto: "light", light: "dark", dark: "auto" } as const;

function cycleTheme(): void {
  theme.value = NEXT[theme.value];
  document.documentElement.dataset["theme"] = theme.value;
}

export function App({ store }: { store: Store }) {
  const stage = store.stage.value;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        To the content
      </a>
      <Header store={store} />
      {stage === "there" && <Outage store={store} />}
      <main id="main" tabIndex={-1}>
        {stage === "there" ? <Page store={store} /> : <JoinPage store={store} />}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault(); // the # of the address is the page
  document.getElementById("main")?.focus();
}

function Page({ store }: { store: Store }) {
  const at = route.value;
  useEffect(() => {
    const title = at.page === "actor" ? short(at.id) : at.page === "link" ? `${short(at.one)} and ${short(at.other)}` : at.page;
    document.title = `${title} · actr console`;
  }, [at]);
  switch (at.page) {
    case "actor":
      return <ActorPage key={at.id} store={store} id={at.id} />;
    case "link":
      return <LinkPage store={store} one={at.one} other={at.other} />;
    case "links":
      return <LinksPage store={store} />;
    case "events":
      return <EventsPage store={store} />;
    case "actors":
      return <ActorsPage store={store} />;
  }
}

function Header({ store }: { store: Store }) {
  const page = route.value.page;
  return (
    <header class="top">
      <a class="brand" href={toActors}>
        <span class="mark" aria-hidden="true" />
        actr
      </a>
      {store.stage.value === "there" && (
        <nav aria-label="Pages">
          <Tab to={toActors} isHere={page === "actors" || page === "actor"}>
            Actors
          </Tab>
          <Tab to={toLinks} isHere={page === "links" || page === "link"}>
            Links
          </Tab>
          <Tab to={toEvents} isHere={page === "events"}>
            Events
          </Tab>
        </nav>
      )}
      <Status store={store} />
      <button class="quiet" type="button" onClick={cycleTheme} aria-label={`Theme: ${theme.value}`}>
        <span aria-hidden="true">{{ auto: "◐", light: "☀", dark: "☾" }[theme.value]}</span>
      </button>
    </header>
  );
}

function Tab({ to, isHere, children }: { to: string; isHere: boolean; children: ComponentChildren }) {
  return (
    <a href={to} aria-current={isHere ? "page" : undefined}>
      {children}
    </a>
  );
}

const WORDS: Readonly<Record<SignalingState, string>> = {
  registered: "live",
  replaced: "replaced",
  refused: "refused",
  closed: "left",
  connecting: "signaling away",
  waiting: "signaling away",
};

/** Where the page stands, in a few words; said aloud when it changes. */
function Status({ store }: { store: Store }) {
  store.frame.value;
  const isThere = store.stage.value === "there";
  const state = store.signaling.value;
  const word = !isThere ? "" : WORDS[state];
  return (
    <p class="status">
      {isThere && (
        <>
          <span class="realm">
            <span class="muted">realm</span> {store.realmName.value}
          </span>
          <span class="muted total">{many(store.realm.rows.size, "actor")}</span>
        </>
      )}
      <span role="status" class={state === "registered" ? "good" : "warn"}>
        {word}
      </span>
    </p>
  );
}

function Outage({ store }: { store: Store }) {
  const state = store.signaling.value;
  if (state === "registered") {
    return null;
  }
  if (state === "refused" || state === "closed") {
    const what = state === "refused" ? "The signaling service does not take this console any more" : "This console has left the signaling service";
    return (
      <p class="banner" role="alert">
        {what}
        {store.absence.value && `: ${store.absence.value}`}. Links that are up go on.{" "}
        <button type="button" class="small" onClick={() => void store.rejoin()}>
          Join again
        </button>
      </p>
    );
  }
  return (
    <p class="banner" role="alert">
      {state === "replaced" ? "Another page has taken this console's name. Load the page again." : OUTAGE}
    </p>
  );
}

const OUTAGE = "The signaling service is away. Links that are up go on and are shown; who comes and goes is not heard until it is back.";

// Escape leads back to where this one was chosen.
addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  const up = { actor: toActors, link: toLinks, actors: undefined, links: undefined, events: undefined }[route.value.page];
  if (event.key === "Escape" && !isTyping && !event.defaultPrevented && up !== undefined) {
    go(up);
  }
});
