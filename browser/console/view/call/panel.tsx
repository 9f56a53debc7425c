// Any method of an actor: it is asked what it offers, and a form is made of its answer.

import { useEffect, useMemo, useState } from "preact/hooks";

import { type Contract, describe, type Offered } from "../../forms/contract";
import { type ShownError, shownError } from "../../forms/shown";
import { duration } from "../../model/words";
import type { PanelProps } from "../actor/panels";
import { Request } from "./request";

/** Seconds for an actor to tell its contract. */
const PATIENCE = 15;
/** Services of the runtime itself: behind those of the application. */
const OWN = "actr.";

type Loaded = { readonly contract: Contract } | { readonly error: ShownError } | "asking" | undefined;

export function CallPanel({ store, row }: PanelProps) {
  store.frame.value;
  const [loaded, setLoaded] = useState<Loaded>();
  const [stop] = useState(() => new AbortController());
  useEffect(() => () => stop.abort(), []);
  const ask = async () => {
    setLoaded("asking");
    let answer: Loaded;
    try {
      answer = { contract: await describe(store.session!.to(row.id), PATIENCE, stop.signal) };
    } catch (error) {
      answer = { error: shownError(error, undefined) };
    }
    if (!stop.signal.aborted) {
      setLoaded(answer);
    }
  };
  const { incarnation } = row.presence;
  useEffect(() => setLoaded(undefined), [incarnation]); // another process may offer something else
  if (loaded === undefined) {
    return (
      <>
        <p class="muted">Calls are made by what the actor tells of its methods.</p>
        <button type="button" onClick={() => void ask()}>
          Ask what it offers
        </button>
      </>
    );
  }
  if (loaded === "asking") {
    return (
      <p class="waiting" role="status">
        Asking what it offers…
      </p>
    );
  }
  if ("error" in loaded) {
    return (
      <>
        <p class="trouble" role="alert">
          <strong>{loaded.error.name}</strong> <bdi>{loaded.error.text}</bdi>
        </p>
        <button type="button" onClick={() => void ask()}>
          Ask again
        </button>
      </>
    );
  }
  return <Methods store={store} row={row} contract={loaded.contract} />;
}

function Methods({ store, row, contract }: PanelProps & { contract: Contract }) {
  const services = useMemo(
    () => [...contract.services].sort((one, other) => Number(one.name.startsWith(OWN)) - Number(other.name.startsWith(OWN))),
    [contract],
  );
  const methods = services.flatMap((service) => service.methods);
  const [chosen, choose] = useState(0);
  const method = methods[chosen];
  if (method === undefined) {
    return <p class="muted">It offers no method.</p>;
  }
  let number = 0;
  return (
    <>
      <div class="place method">
        <label for="call-method">Method</label>
        <select id="call-method" value={chosen} onChange={(event) => choose(Number(event.currentTarget.value))}>
          {services.map(({ name, methods }) => (
            <optgroup key={name} label={name}>
              {methods.map((each) => (
                <option key={each.routeKey} value={number++}>
                  {each.name}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </div>
      <About method={method} />
      <Request key={method.routeKey} store={store} row={row} contract={contract} method={method} />
    </>
  );
}

const KINDS: Record<Offered["kind"], string> = {
  unary: "one request, one reply",
  server_stream: "one request, a stream of replies",
  client_stream: "a stream of requests, one reply",
  bidi_stream: "a stream of requests, a stream of replies",
};
const LANES = ["RPC_RELIABLE", "RPC_SIGNAL", "STREAM_RELIABLE", "STREAM_LATENCY_FIRST"];

function About({ method }: { method: Offered }) {
  return (
    <>
      <p class="about">
        <code>{method.routeKey}</code>
        <span>{KINDS[method.kind]}</span>
        <code>{LANES[method.payloadType]}</code>
        {method.isIdempotent && <span class="tag">may run twice</span>}
        {method.handlerTimeout > 0 && <span class="tag">within {duration(method.handlerTimeout)}</span>}
        {method.requires.length > 0 && <span class="tag">needs {method.requires.join(", ")}</span>}
      </p>
      <p class="muted types">
        <bdi>{method.request.typeName}</bdi> <span aria-hidden="true">→</span>
        <span class="hidden"> to </span> <bdi>{method.reply.typeName}</bdi>
      </p>
      {method.comment && <p class="comment">{method.comment}</p>}
    </>
  );
}
