// Before the console is there: what it waits for, what it asks, and why it cannot be.

import { useState } from "preact/hooks";

import type { Leave } from "../session/certified";
import type { Store } from "./store";

export function JoinPage({ store }: { store: Store }) {
  const stage = store.stage.value;
  const trouble = store.trouble.value;
  if (stage === "reading" || stage === "joining") {
    return (
      <div class="card narrow" role="status">
        <p class="waiting">{stage === "reading" ? "Asking the service who may look…" : "Joining the realm…"}</p>
      </div>
    );
  }
  return (
    <div class="card narrow">
      <h1>{stage === "failed" ? "The console is not there" : "Who looks?"}</h1>
      {trouble !== "" && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      {stage === "failed" ? (
        <button type="button" onClick={() => void store.start()}>
          Try again
        </button>
      ) : (
        <AskProof store={store} />
      )}
    </div>
  );
}

function AskProof({ store }: { store: Store }) {
  const isCertified = store.about?.proof === "certificate";
  const [kind, setKind] = useState<Leave["kind"]>(isCertified ? "token" : "secret");
  const [text, setText] = useState("");
  const [realm, setRealm] = useState(store.realmName.value);
  const submit = (event: Event) => {
    event.preventDefault();
    setText(""); // it is nobody's who comes by later
    void store.join(realm.trim() || "default", { kind, text: text.trim() });
  };
  return (
    <form onSubmit={submit}>
      <p>
        {isCertified
          ? "Actors of this service have certificates, and so must the console: the issuer gives it one for a join token, or for the realm's secret."
          : "Actors of this service know a secret of their realm, and so must the console."}{" "}
        What you write here stays in this page, and is gone with it.
      </p>
      {isCertified && (
        <fieldset>
          <legend>By</legend>
          {(["token", "secret"] as const).map((each) => (
            <label key={each}>
              <input type="radio" name="kind" checked={kind === each} onChange={() => setKind(each)} />
              {each === "token" ? "a join token" : "the realm's secret"}
            </label>
          ))}
        </fieldset>
      )}
      <label class="field">
        {kind === "token" ? "Join token" : "Secret"}
        <input
          type="password"
          autocomplete="off"
          required
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        Realm
        <input autocomplete="off" spellcheck={false} value={realm} onInput={(event) => setRealm(event.currentTarget.value)} />
      </label>
      <button type="submit">Join</button>
    </form>
  );
}
