// One stream both ways: lines of people, and beats that are counted there and back.

import type { StageClient } from "./gen/actr/demo/stage_actr";
import type { Word } from "./gen/actr/demo/stage_pb";
import { append, enable, inWords, part, show } from "./parts";

const BEAT_MS = 50;
/** Beats of which the curve has the round trip: the last half minute. */
const SHOWN = 600;
/** Beats that may be on their way; over that a page that has nowhere to send waits. */
const MAX_WAITING = 2000;

type Said = Parameters<StageClient["talk"]>[0] extends AsyncIterable<infer Init> ? Init : never;

export class Talk {
  readonly #waiting: Said[] = [];
  #wake: () => void = () => {};
  #sent = 0;
  #came = 0;
  #lost = 0;
  #doubled = 0;
  readonly #sentAt = new Map<number, number>();
  readonly #trips: number[] = [];

  constructor(
    readonly name: string,
    readonly stage: StageClient,
  ) {
    part<HTMLFormElement>("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = part<HTMLInputElement>("text");
      this.#say({ word: { case: "line", value: { text: input.value } } });
      input.value = "";
    });
  }

  /** Talks until the page is closed; what ends it before is shown. */
  async run(): Promise<void> {
    this.#say({ word: { case: "people", value: { names: [this.name] } } });
    const beats = setInterval(() => this.#beat(), BEAT_MS);
    try {
      for await (const { word } of this.stage.talk(this.#words())) {
        this.#hear(word);
      }
      show("state", "the stage has left", "wrong");
    } catch (error) {
      show("state", `the talk has ended: ${inWords(error)}`, "wrong");
    } finally {
      clearInterval(beats);
    }
  }

  #beat(): void {
    if (this.#sentAt.size < MAX_WAITING) {
      this.#sent += 1;
      this.#sentAt.set(this.#sent, performance.now());
      this.#say({ word: { case: "beat", value: BigInt(this.#sent) } });
    }
    this.#draw();
  }

  #say(word: Said): void {
    this.#waiting.push(word);
    this.#wake();
  }

  async *#words(): AsyncGenerator<Said> {
    for (;;) {
      while (this.#waiting.length > 0) {
        yield this.#waiting.shift()!;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #hear(word: Word["word"]): void {
    if (word.case === "beat") {
      this.#count(Number(word.value));
    } else if (word.case === "line") {
      const author = document.createElement("b");
      author.textContent = word.value.author;
      append("lines", author, word.value.text);
    } else if (word.case === "people") {
      enable("text");
      part("say").querySelector("button")?.removeAttribute("disabled");
      const { names } = word.value;
      show("people", `${names.length} here: ${names.join(", ")}`);
    }
  }

  /** They come in order, each once: what is left out is lost, what was there before is doubled. */
  #count(beat: number): void {
    if (beat <= this.#came + this.#lost) {
      this.#doubled += 1;
      return;
    }
    this.#lost += beat - this.#came - this.#lost - 1;
    this.#came += 1;
    this.#trips.push(performance.now() - (this.#sentAt.get(beat) ?? performance.now()));
    this.#trips.splice(0, this.#trips.length - SHOWN);
    for (const [known] of this.#sentAt) {
      if (known > beat) {
        break;
      }
      this.#sentAt.delete(known);
    }
  }

  #draw(): void {
    show("sent", String(this.#sent));
    show("came", String(this.#came));
    show("lost", String(this.#lost), this.#lost ? "wrong" : "");
    show("doubled", String(this.#doubled), this.#doubled ? "wrong" : "");
    const last = this.#trips.at(-1);
    show("trip", last === undefined ? "–" : `${last.toFixed(1)} ms`);
    // By the logarithm: a millisecond and a second are both to be seen.
    const y = (trip: number) => 47 - Math.min(46, 12 * Math.log10(1 + Math.max(0, trip)));
    const points = this.#trips.map((trip, at) => `${SHOWN - this.#trips.length + at},${y(trip).toFixed(1)}`);
    part("pulse").querySelector("path")?.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
  }
}
