// Small things that several pages are made of.

import type { ComponentChildren } from "preact";

import type { Row } from "../model/realm";

export type Tone = "good" | "warn" | "bad" | "none";

/** A state as a word with a mark: never by colour alone. */
export function Mark({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`mark-${tone}`}>
      <span class="dot" aria-hidden="true" />
      {children}
    </span>
  );
}

/** An id whose parts can be told apart: the type small, the instance as the name. */
export function Id({ id, isWhole = false }: { id: string; isWhole?: boolean }) {
  const [, type = "", instance = id, realm = ""] = /^(.*)@([^@]*):([^:@]*)$/.exec(id) ?? [];
  return (
    <span class="id" title={id}>
      <span class="muted">{type}</span>
      {type && "@"}
      {instance}
      {isWhole && realm && <span class="muted">:{realm}</span>}
    </span>
  );
}

/** How well an actor can be seen, in a word or two. */
export function lookOf(row: Row): { tone: Tone; word: string } {
  const { view } = row;
  switch (row.looking) {
    case "looking":
      if (view?.mailbox?.trouble || view?.outbox?.trouble) {
        return { tone: "bad", word: "in trouble" };
      }
      return view?.signaling === "registered" ? { tone: "good", word: "online" } : { tone: "warn", word: view?.signaling ?? "online" };
    case "shut":
      return { tone: "none", word: "lets nobody look" };
    case "refused":
      return { tone: "none", word: "not for this console" };
    case "busy":
      return { tone: "none", word: "looked at by many" };
    case "away":
      return { tone: "warn", word: "not reached" };
    default:
      return { tone: "none", word: "online" };
  }
}

/** Over this part something is nearly full. */
const NEARLY = 0.9;

/** How full something is, in words for who sees no bar. */
export function Bar({ part, label }: { part: number; label: string }) {
  const share = Math.min(1, Math.max(0, part));
  return (
    <span class={share > NEARLY ? "bar nearly" : "bar"} role="img" aria-label={label} title={label}>
      <span style={{ width: `${Math.round(100 * share)}%` }} />
    </span>
  );
}
