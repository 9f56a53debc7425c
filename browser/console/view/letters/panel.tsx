// Dead letters: what an actor was sent and gave up. Looked into, replayed, dropped.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { type Contract, describe } from "../../forms/contract";
import { type By, type Filter, Letters, type Page, SETTING, wordsOf } from "../../letters/letters";
import { count, many } from "../../model/words";
import type { PanelProps } from "../actor/panels";
import { Confirm } from "./confirm";
import { Table } from "./table";

/** Seconds for an actor to tell its contract, by which letters are read. */
const PATIENCE = 10;

export function LettersPanel({ store, row }: PanelProps) {
  store.frame.value;
  const [filter, setFilter] = useState<Filter>({ by: "route", text: "" });
  const [page, setPage] = useState<Page>();
  const [trouble, setTrouble] = useState("");
  const [said, say] = useState("");
  const [isReading, setReading] = useState(false);
  const [isActing, setActing] = useState(false);
  const isBusy = isReading || isActing;
  const [chosen, choose] = useState<ReadonlySet<bigint>>(new Set());
  const [contract, setContract] = useState<Contract>();
  const [asks, setAsks] = useState(false);
  const [stop] = useState(() => new AbortController());
  useEffect(() => () => stop.abort(), []);
  const letters = useMemo(() => new Letters(store.session!.to(row.id), filter, stop.signal), [row.id, filter]);
  const dead = row.view?.mailbox?.dead ?? 0;

  useEffect(() => () => letters.stop(), [letters]);

  const read = async (turn: () => Promise<Page | undefined>) => {
    setReading(true);
    try {
      const read = await turn();
      if (read === undefined) {
        return; // another read has begun, and says when it ends
      }
      const here = new Set(read.letters.map(({ number }) => number));
      setPage(read);
      choose((before) => new Set([...before].filter((number) => here.has(number))));
      setTrouble("");
    } catch (error) {
      setTrouble(stop.signal.aborted ? "" : wordsOf(error));
    }
    setReading(false);
  };
  const isFirst = useRef(true);
  useEffect(() => {
    // What is shown follows what the actor counts; until somebody looks, nothing is asked.
    if (!isFirst.current || dead > 0) {
      isFirst.current = false;
      void read(() => (page === undefined ? letters.first() : letters.again()));
    }
  }, [letters, dead]);

  const act = async (what: "replay" | "drop") => {
    setAsks(false);
    setActing(true);
    const numbers = [...chosen];
    try {
      const done = await letters[what](numbers);
      const word = what === "replay" ? "replayed" : "dropped";
      const missed = numbers.length - done.length;
      say(`${many(done.length, "letter")} ${word}${missed > 0 ? `, ${count(missed)} not` : ""}`);
      setTrouble("");
      await read(() => letters.again());
    } catch (error) {
      say("");
      setTrouble(wordsOf(error));
    }
    setActing(false);
  };
  const known = async () => {
    if (contract === undefined) {
      const told = await describe(store.session!.to(row.id), PATIENCE, stop.signal).catch(() => undefined);
      setContract(told);
      return told;
    }
    return contract;
  };

  if (page === undefined && dead === 0 && trouble === "") {
    return <p class="muted">None.</p>;
  }
  const mayOperate = row.view?.allowed === "operate";
  return (
    <>
      <Search filter={filter} search={(wanted) => (setPage(undefined), setFilter(wanted))} />
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      {page !== undefined && page.letters.length > 0 && (
        <Table store={store} row={row} page={page} chosen={chosen} choose={choose} open={async (number) => letters.open(number, await known())} />
      )}
      {page?.letters.length === 0 && <p class="muted">No letter {filter.text ? "fits." : "is left."}</p>}
      <div class="actions">
        {mayOperate ? (
          <>
            <button type="button" disabled={isBusy || chosen.size === 0} onClick={() => void act("replay")}>
              Replay {chosen.size > 0 && count(chosen.size)}
            </button>
            <button type="button" disabled={isBusy || chosen.size === 0} onClick={() => setAsks(true)}>
              Drop {chosen.size > 0 && count(chosen.size)}
            </button>
          </>
        ) : (
          <p class="muted">
            It lets others look, and change nothing: <code>{SETTING}=operate</code> lets them replay and drop.
          </p>
        )}
        <span class="turns">
          <button type="button" disabled={isBusy || !letters.mayGoBack} onClick={() => void read(() => letters.back())}>
            Older
          </button>
          <button type="button" disabled={isBusy || !page?.isMore} onClick={() => void read(() => letters.next(page!))}>
            Newer
          </button>
        </span>
      </div>
      <p role="status" class="muted">
        {said}
      </p>
      {asks && <Confirm count={chosen.size} answer={(isYes) => (isYes ? void act("drop") : setAsks(false))} />}
    </>
  );
}

const NAMES: Record<By, string> = { route: "method", sender: "sender", reason: "reason" };

function Search({ filter, search }: { filter: Filter; search: (filter: Filter) => void }) {
  const [by, setBy] = useState(filter.by);
  const [text, setText] = useState(filter.text);
  return (
    <form
      class="search"
      role="search"
      aria-label="Dead letters"
      onSubmit={(event) => {
        event.preventDefault();
        search({ by, text: text.trim() });
      }}
    >
      <label>
        <span class="hidden">Where to look</span>
        <select value={by} onChange={(event) => setBy(event.currentTarget.value as By)}>
          {(Object.keys(NAMES) as By[]).map((each) => (
            <option key={each} value={each}>
              {NAMES[each]}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="hidden">Part of it</span>
        <input autocomplete="off" spellcheck={false} placeholder="has…" maxLength={256} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button type="submit">Find</button>
    </form>
  );
}
