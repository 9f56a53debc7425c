// One stream both ways: lines of people, and beats that are counted there and back. When it ends, what
// did not come back is lost, and another one begins.

import type { StageClient } from "./gen/actr/demo/stage_actr";
import type { Line, Word } from "./gen/actr/demo/stage_pb";
import { append, disable, enable, inWords, part, show } from "./parts";

const BEAT_MS = 50;
/** Beats of which the curve has the round trip: the last half minute. */
const SHOWN = 600;
/** Beats that may be on their way; over that a page that has nowhere to send waits. */
const MAX_WAITING = 2000;

/** Before another talk, at first and at most; twice as long after each that nobody answered. */
const [MIN_PAUSE_MS, MAX_PAUSE_MS] = [500, 10_000];

type Said = Parameters<StageClient["talk"]>[0] extends AsyncIterable<infer Init> ? Init : never;

export class Talk {
  #waiting: Said[] = [];
  /** What was typed here and has not come back: if the talk ends, it is said in the next one. */
  readonly #typed: string[] = [];
  /** The number of the last line: a new talk starts with lines that are here already. */
  #heard = 0n;
  #wake: () => void = () => {};
  #sent = 0;
  #came = 0;
  #lost = 0;
  #doubled = 0;
  readonly #sentAt = new Map<number, number>();
  readonly #trips: number[] = [];
  /** Of the talk that there is; undefined: there is none that the stage has answered. */
  #beats: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly name: string,
    readonly stage: StageClient,
    readonly note: (text: string) => void,
  ) {
    part<HTMLFormElement>("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = part<HTMLInputElement>("text");
      const text = input.value.trim();
      if (text !== "" && this.#beats !== undefined) {
        this.#typed.push(text);
        this.#say({ word: { case: "line", value: { text } } });
        input.value = "";
      }
    });
  }

  /** Talks until it is told to stop: after a talk that ends before, another one begins. */
  async run(stop: AbortSignal): Promise<void> {
    for (let pause = MIN_PAUSE_MS; !stop.aborted; pause = Math.min(MAX_PAUSE_MS, 2 * pause)) {
      const why = await this.#talk(stop);
      if (this.#end()) {
        pause = MIN_PAUSE_MS;
        this.note(`the talk has ended: ${why}`);
      }
      show("people", `there is no talk: ${why}; another one begins`, "wrong");
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** One talk to its end; returns why it has ended. */
  async #talk(stop: AbortSignal): Promise<string> {
    const mouth = new AbortController();
    try {
      for await (const { word } of this.stage.talk(this.#words(mouth.signal), { signal: stop })) {
        this.#hear(word);
      }
      return "the stage has ended it";
    } catch (error) {
      return inWords(error);
    } finally {
      mouth.abort();
      this.#wake();
    }
  }

  /** The stage has answered, with the last lines first: what is not among them did not get there. */
  #begin(): void {
    if (this.#beats === undefined) {
      this.#beats = setInterval(() => this.#beat(), BEAT_MS);
      this.#typed.forEach((text) => this.#say({ word: { case: "line", value: { text } } }));
      enable("text", "send");
    }
  }

  /** What has not come back never will. Returns whether there was a talk at all. */
  #end(): boolean {
    const wasThere = this.#beats !== undefined;
    clearInterval(this.#beats);
    this.#beats = undefined;
    disable("text", "send");
    this.#waiting = [];
    this.#lost = this.#sent - this.#came;
    this.#sentAt.clear();
    this.#draw();
    return wasThere;
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

  /** What goes into one talk; it ends with the talk: nothing of the next one is to go there. */
  async *#words(signal: AbortSignal): AsyncGenerator<Said> {
    yield { word: { case: "people", value: { names: [this.name] } } };
    while (!signal.aborted) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        yield next;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  #hear(word: Word["word"]): void {
    if (word.case === "beat") {
      this.#count(Number(word.value));
    } else if (word.case === "line") {
      this.#hearLine(word.value);
    } else if (word.case === "people") {
      this.#begin();
      const { names } = word.value;
      show("people", `${names.length} here: ${names.join(", ")}`);
    }
  }

  #hearLine({ number, author, text }: Line): void {
    if (number <= this.#heard) {
      return;
    }
    this.#heard = number;
    if (author === this.name) {
      this.#typed.shift();
    }
    const lead = document.createElement("b");
    lead.textContent = author;
    append("lines", lead, text);
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
