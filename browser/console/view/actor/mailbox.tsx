// What waits at an actor, and what is open.

import { count } from "../../model/words";
import { Pair } from "./identity";
import type { PanelProps } from "./panels";

export function MailboxPanel({ row }: PanelProps) {
  const { mailbox, outbox, streams } = row.view!;
  return (
    <>
      <ul class="figures">
        <Figure number={mailbox?.depth ?? 0} what="in the mailbox" />
        <Figure number={mailbox?.waiting ?? 0} what="wait for room" isBad />
        <Figure number={mailbox?.dead ?? 0} what="dead letters" isBad />
        <Figure number={outbox?.open ?? 0} what="in the outbox" />
        <Figure number={streams?.open ?? 0} what="streams open" />
      </ul>
      {mailbox?.trouble && <p class="trouble">The mailbox takes nothing: {mailbox.trouble}</p>}
      {outbox?.trouble && <p class="trouble">The outbox: {outbox.trouble}</p>}
      <Counts title="Since its start" counts={mailbox?.counts ?? {}} />
      <Counts title="Not read of streams" counts={streams?.counts ?? {}} />
    </>
  );
}

function Figure({ number, what, isBad = false }: { number: number; what: string; isBad?: boolean }) {
  return (
    <li class={isBad && number > 0 ? "bad" : undefined}>
      <strong class="number">{count(number)}</strong> {what}
    </li>
  );
}

/** Names and numbers of a map; those that are 0 say nothing. */
export function Counts({ title, counts }: { title: string; counts: Readonly<Record<string, bigint>> }) {
  const some = Object.entries(counts).filter(([, number]) => number > 0n);
  if (some.length === 0) {
    return null;
  }
  return (
    <>
      <h3>{title}</h3>
      <dl class="pairs numbers">
        {some.sort().map(([name, number]) => (
          <Pair key={name} name={name}>
            {count(number)}
          </Pair>
        ))}
      </dl>
    </>
  );
}
