// The wires to the stage: which is there, what cuts it, and how long it takes until there is another.

import type { WebRtcWire, WireEvents } from "actr";

import { append, disable, enable, part, show } from "./parts";

type Wire = Parameters<NonNullable<WireEvents["opened"]>>[0];

export class Wires implements WireEvents {
  /** Told of each wire that can carry media. */
  onWire: (wire: WebRtcWire) => void = () => {};
  #open: WebRtcWire | undefined;
  #cuts = 0;
  #cutAt: number | undefined;
  readonly #started = performance.now();

  constructor(readonly remote: string) {
    part("cut").addEventListener("click", () => this.cut());
  }

  /** The newest one; undefined: none is there. */
  get newest(): WebRtcWire | undefined {
    return this.#open;
  }

  opened(wire: Wire): void {
    if (wire.remote.text === this.remote && "connection" in wire) {
      this.#open = wire as WebRtcWire;
      this.note(this.#cutAt === undefined ? "a WebRTC wire is open" : "another WebRTC wire is open");
      this.onWire(this.#open);
    }
  }

  changed(remote: string, _kind: string, state: string): void {
    if (remote !== this.remote) {
      return;
    }
    show("wire-state", state, state === "ready" ? "good" : "");
    if (state === "ready") {
      enable("cut");
      if (this.#cutAt !== undefined) {
        const took = Math.round(performance.now() - this.#cutAt);
        this.#cutAt = undefined;
        show("back", `${took} ms`);
        this.note(`the session goes on over it, ${took} ms after the cut`);
      }
    } else if (state === "failed") {
      disable("cut");
      this.note("it is gone; another one is dialled");
    }
  }

  /** Ends the connection as nobody meant it: what was on its way in it is lost with it. */
  cut(): void {
    if (this.#open !== undefined) {
      this.#cuts += 1;
      this.#cutAt = performance.now();
      show("cuts", String(this.#cuts));
      this.note("you cut the wire");
      this.#open.connection.close();
      this.#open = undefined;
    }
  }

  note(text: string): void {
    const at = document.createElement("time");
    at.textContent = `${((performance.now() - this.#started) / 1000).toFixed(2)} s`;
    append("events", at, text);
  }
}

