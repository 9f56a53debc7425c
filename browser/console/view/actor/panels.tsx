// The panels of one actor's page, in their order. A new one is a line in PANELS: it is given the row of
// the actor and, by the store, the session that calls it.
//
//     { id: "letters", title: "Dead letters", View: LettersPanel }
//
// `store.session!.to(row.id)` calls the actor (a `Caller`, as generated clients take it);
// `store.session!.wireTo(row.id)` is the open WebRTC wire to it, for media. What a panel shows of the
// model it reads behind `store.frame.value`, and times behind `store.second.value`. It is made anew for
// each actor, and taken away when the page shows another or the actor has left.

import type { ComponentType } from "preact";

import type { Row } from "../../model/realm";
import { CallPanel } from "../call/panel";
import { LettersPanel } from "../letters/panel";
import { MediaPanel } from "../media/panel";
import type { Store } from "../store";
import { CountersPanel } from "./counters";
import { IdentityPanel } from "./identity";
import { LinksPanel } from "./links";
import { MailboxPanel } from "./mailbox";

export interface PanelProps {
  readonly store: Store;
  readonly row: Row;
}

export interface ActorPanel {
  /** Of the page, once each: a word for addresses and tests. */
  readonly id: string;
  readonly title: string;
  readonly View: ComponentType<PanelProps>;
  /** Over the whole width, where there are two columns. */
  readonly isWide?: boolean;
  /** Whether there is something to show; always, if nothing is said. */
  readonly isFor?: (row: Row) => boolean;
}

const hasView = (row: Row) => row.view !== undefined;

export const PANELS: readonly ActorPanel[] = [
  { id: "identity", title: "Identity", View: IdentityPanel },
  { id: "mailbox", title: "Mailbox and streams", View: MailboxPanel, isFor: hasView },
  { id: "links", title: "Links", View: LinksPanel, isFor: hasView, isWide: true },
  { id: "media", title: "Streams and tracks", View: MediaPanel, isFor: hasView, isWide: true },
  { id: "letters", title: "Dead letters", View: LettersPanel, isFor: hasView, isWide: true },
  { id: "call", title: "Call a method", View: CallPanel, isWide: true },
  { id: "counters", title: "Refused and failed", View: CountersPanel, isFor: hasView },
];
