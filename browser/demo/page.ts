// The page of `actr demo --browser`: it joins, and talks to an actor in Python.

import { join } from "actr";

import { Camera } from "./camera";
import { StageClient } from "./gen/actr/demo/stage_actr";
import { inWords, show } from "./parts";
import { Talk } from "./talk";
import { Upload } from "./upload";
import { Wires } from "./wires";

interface Settings {
  readonly signaling: string;
  readonly issuer: string;
  /** The actor that it talks to. */
  readonly stage: string;
  /** Whom certificates of pages are for: `demo-page:*@*`, of which each browser has one name. */
  readonly subject: string;
}

/** As the site calls it: what lets this page have a token. */
const SECRET_HEADER = "x-actr-demo";
/** Where this browser's name is kept, beside its key. */
const KEPT_NAME = "actr-demo-browser";

async function token(): Promise<string> {
  // What is after the # was sent to nobody: who only finds the port does not have it.
  const answer = await fetch("/token", { method: "POST", headers: { [SECRET_HEADER]: location.hash.slice(1) } });
  if (!answer.ok) {
    throw new Error(await answer.text());
  }
  return answer.text();
}

function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The same in all tabs, and in no other browser: the key of one would take the place of the other's. */
function browserName(): string {
  const name = localStorage.getItem(KEPT_NAME) ?? randomHex(8);
  localStorage.setItem(KEPT_NAME, name);
  return name;
}

async function begin(): Promise<void> {
  const { signaling, issuer, stage, subject: all }: Settings = await (await fetch("/settings.json")).json();
  const subject = all.replace("*", browserName());
  const name = randomHex(2);
  const wires = new Wires(stage);
  const joined = await join(signaling, `${subject.replace("*", name)}:default`, {
    identity: {
      issuer,
      subject,
      token,
      failed: (error, left) => wires.note(`no new certificate, the last is good for ${Math.round(left)} s: ${error.message}`),
    },
    sink: { state: (state) => show("state", state === "registered" ? "online" : `signaling: ${state}`) },
    wires,
  });
  show("me", joined.id.text);
  const client = new StageClient(joined.to(stage));
  const talk = new Talk(`tab ${name}`, client, (text) => wires.note(text));
  new Upload(client);
  new Camera(client, wires);
  const stop = new AbortController();
  addEventListener("pagehide", () => {
    // There is time for what is sent at once, and for nothing that waits for an answer.
    stop.abort();
    void joined.signaling.close();
    void joined.close();
  });
  await talk.run(stop.signal);
}

// A browser may keep a page that was left, and show it again as it was: closed.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) {
    location.reload();
  }
});
begin().catch((error: unknown) => show("state", inWords(error), "wrong"));
