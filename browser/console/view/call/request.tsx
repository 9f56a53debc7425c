// A request to be written, and what is done with it: sent, sent on, ended, cancelled.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Contract, Offered } from "../../forms/contract";
import type { Leaf } from "../../forms/draft";
import { Filling, type Mode } from "../../forms/filling";
import { isStream, Run } from "../../forms/run";
import type { PanelProps } from "../actor/panels";
import { Fields } from "./fields";
import { useAgain } from "./hooks";
import { type Asked, askedOf, Options } from "./options";
import { Results } from "./results";

interface RequestProps extends PanelProps {
  readonly contract: Contract;
  readonly method: Offered;
}

export function Request({ store, row, contract, method }: RequestProps) {
  const again = useAgain();
  const filling = useMemo(() => new Filling(method, contract.registry), [method, contract]);
  const [run, setRun] = useState<Run>();
  const [asked, setAsked] = useState<Asked>({ timeout: "", metadata: "" });
  const [options, trouble] = useMemo(() => askedOf(asked), [asked]);
  const form = useRef<HTMLFormElement>(null);
  // What is wrong is said when who types has gone on, or wants to send.
  const [touched] = useState(() => new Set<Leaf>());
  const [isTold, setTold] = useState(false);
  const reading = filling.read();
  const places = isTold ? reading.places : new Map([...reading.places].filter(([leaf]) => touched.has(leaf)));
  const isRunning = run?.state === "running";
  useEffect(() => () => run?.cancel(), [run]);

  const begin = (withRequest: boolean) => {
    if (trouble !== "" || (withRequest && reading.message === undefined)) {
      setTold(true);
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    const { registry } = contract;
    setTold(false);
    if (isRunning && withRequest) {
      run.send(reading.message!);
      return;
    }
    setRun(new Run(store.session!.to(row.id), method, { ...options, registry, changed: again }, withRequest ? reading.message : undefined));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    begin(true);
  };
  return (
    <>
      <form class="request" ref={form} onSubmit={submit} noValidate aria-label={`Request of ${method.name}`}>
        <ModeChoice mode={filling.mode} turn={(mode) => (filling.turn(mode), again())} />
        {filling.trouble && <p class="trouble" role="alert">{`The form cannot show this: ${filling.trouble}`}</p>}
        {filling.mode === "form" ? (
          <Fields value={filling.draft} faults={places} changed={again} left={(leaf) => (touched.add(leaf), again())} />
        ) : (
          <Json filling={filling} whole={isTold ? reading.whole : ""} changed={again} />
        )}
        {filling.mode === "form" && isTold && reading.whole && <p class="trouble" role="alert">{reading.whole}</p>}
        <Options asked={asked} change={setAsked} />
        {isTold && trouble && <p class="trouble" role="alert">{trouble}</p>}
        <div class="actions">
          <Actions method={method} run={run} begin={begin} />
          <button type="button" class="quiet" onClick={() => (filling.clear(), setTold(false), again())}>
            Clear
          </button>
        </div>
      </form>
      {run !== undefined && <Results run={run} />}
    </>
  );
}

function ModeChoice({ mode, turn }: { mode: Mode; turn: (mode: Mode) => void }) {
  return (
    <fieldset class="segments">
      <legend class="hidden">Write it as</legend>
      {(["form", "json"] as const).map((each) => (
        <label key={each}>
          <input
            type="radio"
            name="mode"
            checked={mode === each}
            onChange={(event) => {
              turn(each);
              event.currentTarget.checked = mode === each; // it may have to stay
            }}
          />
          <span>{each === "form" ? "Form" : "JSON"}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Json({ filling, whole, changed }: { filling: Filling; whole: string; changed: () => void }) {
  return (
    <div class={whole ? "place wrong" : "place"}>
      <label class="hidden" for="request-json">
        The request as JSON
      </label>
      <textarea
        id="request-json"
        class="code"
        rows={12}
        spellcheck={false}
        aria-invalid={whole !== ""}
        aria-describedby={whole ? "request-fault" : undefined}
        value={filling.text}
        onInput={(event) => {
          filling.text = event.currentTarget.value;
          changed();
        }}
      />
      {whole && (
        <p class="hint" id="request-fault">
          <strong class="fault">{whole}</strong>
        </p>
      )}
    </div>
  );
}

function Actions({ method, run, begin }: { method: Offered; run: Run | undefined; begin: (withRequest: boolean) => void }) {
  const isRunning = run?.state === "running";
  const cancel = isRunning && (
    <button type="button" onClick={() => run.cancel()}>
      Cancel
    </button>
  );
  if (!isStream(method.kind)) {
    return (
      <>
        <button type="submit" disabled={isRunning}>
          Call
        </button>
        {cancel}
      </>
    );
  }
  return (
    <>
      {!isRunning && (
        <button type="button" onClick={() => begin(false)}>
          Open
        </button>
      )}
      <button type="submit" disabled={isRunning && !run.maySend}>
        {isRunning ? "Send item" : "Open and send"}
      </button>
      {isRunning && (
        <button type="button" disabled={run.isEnded} onClick={() => run.endItems()}>
          End
        </button>
      )}
      {cancel}
    </>
  );
}
