// The letters of a page, one a row; each can be opened below its row.

import { useState } from "preact/hooks";

import type { DeadLetter } from "../../gen/actr/services/inspection_pb";
import { type Opened, type Page, wordsOf } from "../../letters/letters";
import { bytes, count, date } from "../../model/words";
import { Pair } from "../actor/identity";
import type { PanelProps } from "../actor/panels";
import { Text } from "../call/results";

/** Letters of a text of an actor's in a row. */
const MAX_TEXT = 300;

interface TableProps extends PanelProps {
  readonly page: Page;
  readonly chosen: ReadonlySet<bigint>;
  choose(chosen: ReadonlySet<bigint>): void;
  open(number: bigint): Promise<Opened | undefined>;
}

export function Table({ row, page, chosen, choose, open }: TableProps) {
  const { letters } = page;
  const isAll = letters.every(({ number }) => chosen.has(number));
  const toggle = (number: bigint) => {
    const other = new Set(chosen);
    if (!other.delete(number)) {
      other.add(number);
    }
    choose(other);
  };
  return (
    <div class="scroll letters" tabIndex={0} role="region" aria-label="Letters of this page">
      <table>
        <thead>
          <tr>
            <th scope="col">
              <input
                type="checkbox"
                aria-label="All of this page"
                checked={isAll}
                onChange={() => choose(new Set(isAll ? [] : letters.map(({ number }) => number)))}
              />
            </th>
            {["Number", "Died", "Method", "Sender", "Why", "Tries", "Size", ""].map((name) => (
              <th scope="col" key={name}>
                {name || <span class="hidden">Look</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {letters.map((letter) => (
            <Letter
              key={letter.number}
              letter={letter}
              skew={row.skew}
              isChosen={chosen.has(letter.number)}
              toggle={() => toggle(letter.number)}
              open={() => open(letter.number)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface LetterProps {
  readonly letter: DeadLetter;
  readonly skew: number;
  readonly isChosen: boolean;
  toggle(): void;
  open(): Promise<Opened | undefined>;
}

type Look = Opened | "asking" | { readonly trouble: string } | undefined;

function Letter({ letter, skew, isChosen, toggle, open }: LetterProps) {
  const [look, setLook] = useState<Look>();
  const number = String(letter.number);
  const show = async () => {
    if (look !== undefined) {
      setLook(undefined);
      return;
    }
    setLook("asking");
    try {
      setLook((await open()) ?? { trouble: "It is gone." });
    } catch (error) {
      setLook({ trouble: wordsOf(error) });
    }
  };
  return (
    <>
      <tr class="letter-row">
        <td>
          <input type="checkbox" aria-label={`Letter ${number}`} checked={isChosen} onChange={toggle} />
        </td>
        <th scope="row" class="number">
          {number}
        </th>
        <td class="number">{date(Number(letter.diedAtMs) + skew)}</td>
        <td class="words">
          <code>{cut(letter.routeKey)}</code>
          {letter.isTell && <span class="tag">tell</span>}
        </td>
        <td class="words">
          <code>{cut(letter.sender)}</code>
        </td>
        <td class="words">
          {cut(letter.reason)}
          {letter.lastError && <span class="muted"> {cut(letter.lastError)}</span>}
        </td>
        <td class="number">{count(letter.attempts)}</td>
        <td class="number">{bytes(letter.bytes)}</td>
        <td>
          <button type="button" class="small" aria-expanded={look !== undefined} onClick={() => void show()}>
            {look === undefined ? "Look" : "Close"}
            <span class="hidden"> into letter {number}</span>
          </button>
        </td>
      </tr>
      {look !== undefined && (
        <tr>
          <td colSpan={9} class="letter">
            <Inside look={look} letter={letter} />
          </td>
        </tr>
      )}
    </>
  );
}

function Inside({ look, letter }: { look: NonNullable<Look>; letter: DeadLetter }) {
  if (look === "asking") {
    return <p class="waiting">Asking…</p>;
  }
  if ("trouble" in look) {
    return <p class="trouble">{look.trouble}</p>;
  }
  return (
    <>
      <dl class="pairs">
        <Pair name="Request id">
          <code>{letter.requestId}</code>
        </Pair>
        <Pair name="Lane">
          <code>{letter.payloadType}</code>
        </Pair>
        <Pair name="Failed">
          {count(letter.failures)} times by its handler, {count(letter.crashes)} times with its process
        </Pair>
        {look.timeoutMs > 0 && <Pair name="Deadline">{look.timeoutMs / 1000} s from when it was sent</Pair>}
        {look.traceparent && (
          <Pair name="Trace">
            <code>{look.traceparent}</code>
          </Pair>
        )}
        {look.metadata.map(([key, value]) => (
          <Pair key={key} name="Metadata">
            <code>
              {key} = {value}
            </code>
          </Pair>
        ))}
        <Pair name="Request">{look.type ? <code>{look.type}</code> : "of a method that the actor does not tell"}</Pair>
      </dl>
      {look.payload.bytes === 0 ? <p class="muted">Empty.</p> : <Text shown={look.payload} />}
    </>
  );
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
