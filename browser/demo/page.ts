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
  /** Whom the certificate of this browser is for: each tab is one of them. */
  readonly subject: string;
}

async function token(): Promise<string> {
  const answer = await fetch("/token", { method: "POST" });
  if (!answer.ok) {
    throw new Error(await answer.text());
  }
  return answer.text();
}

async function begin(): Promise<void> {
  const { signaling, issuer, stage, subject }: Settings = await (await fetch("/settings.json")).json();
  const name = Array.from(crypto.getRandomValues(new Uint8Array(2)), (byte) => byte.toString(16).padStart(2, "0")).join("");
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
  const talk = new Talk(`tab ${name}`, client);
  new Upload(client);
  new Camera(client, wires);
  addEventListener("pagehide", () => void joined.close());
  await talk.run();
}

begin().catch((error: unknown) => show("state", inWords(error), "wrong"));
