// A file to Python, as a stream: how far it is, and the hash of both sides.

import type { StageClient } from "./gen/actr/demo/stage_actr";
import { enable, inWords, megabytes, part, show } from "./parts";

const PIECE_BYTES = 48 * 1024;
const NOISE_BYTES = 8_000_000;
/** WebCrypto hashes what is in memory, and nothing bit by bit. */
const MAX_BYTES = 512_000_000;

export class Upload {
  #isBusy = false;

  constructor(readonly stage: StageClient) {
    const chosen = part<HTMLInputElement>("file");
    chosen.addEventListener("change", () => {
      const [file] = chosen.files ?? [];
      chosen.value = "";
      void (file && this.send(file, file.name));
    });
    part("made").addEventListener("click", () => void this.send(noise(), "noise"));
    enable("file", "made");
  }

  async send(file: Blob, name: string): Promise<void> {
    if (this.#isBusy) {
      show("upload", "one at a time: the last one is still on its way");
      return;
    }
    this.#isBusy = true;
    show("here", "–");
    show("there", "–");
    try {
      await this.#send(file, name);
    } catch (error) {
      show("upload", `${name} did not arrive: ${inWords(error)}`, "wrong");
    } finally {
      this.#isBusy = false;
    }
  }

  async #send(file: Blob, name: string): Promise<void> {
    if (file.size > MAX_BYTES) {
      throw new Error(`${megabytes(file.size)} are over the ${megabytes(MAX_BYTES)} that a page can hash`);
    }
    const started = performance.now();
    const [reply, here] = await Promise.all([this.stage.upload(this.#pieces(file, name)), hashOf(file)]);
    show("there", reply.sha256);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const isSame = here === reply.sha256 && Number(reply.sizeBytes) === file.size;
    const word = isSame ? "both hashes are equal" : "the hashes differ";
    show("upload", `${name}: ${megabytes(file.size)} in ${seconds} s; ${word}`, isSame ? "good" : "wrong");
  }

  async *#pieces(file: Blob, name: string) {
    yield { piece: { case: "header" as const, value: { name, sizeBytes: BigInt(file.size) } } };
    const progress = part<HTMLProgressElement>("progress");
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      const data = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
      yield { piece: { case: "data" as const, value: data } };
      // The stream has taken it: it takes no more than the far side gives credit for.
      const done = Math.min(file.size, at + PIECE_BYTES);
      progress.value = done / file.size;
      show("upload", `${name}: ${megabytes(done)} of ${megabytes(file.size)}`);
    }
    progress.value = 1;
  }
}

async function hashOf(file: Blob): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const hex = Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("");
  show("here", hex);
  return hex;
}

function noise(): Blob {
  const data = new Uint8Array(NOISE_BYTES);
  for (let at = 0; at < NOISE_BYTES; at += 65_536) {
    crypto.getRandomValues(data.subarray(at, Math.min(at + 65_536, NOISE_BYTES)));
  }
  return new Blob([data]);
}
