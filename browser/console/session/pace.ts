// So many views of an actor at most, however many it tells: of those in between the newest.

import type { ActorView } from "../gen/actr/services/inspection_pb";
import { MAX_CHANGES } from "../model/bounds";

/** Milliseconds between two views that are taken; an honest actor tells one in 100 at most. */
export const PACE_MS = 50;

export class Pace {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held: ActorView | undefined;

  constructor(private readonly take: (view: ActorView) => void) {}

  give(view: ActorView): void {
    if (this.#timer === undefined) {
      this.#take(view);
      return;
    }
    if (this.#held?.incarnation === view.incarnation) {
      // Each tells what has changed since the one before it.
      view.changes = [...this.#held.changes, ...view.changes].slice(-MAX_CHANGES);
    }
    this.#held = view;
  }

  /** Takes what is held: no more will come. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held !== undefined) {
      this.take(this.#held);
      this.#held = undefined;
    }
  }

  #take(view: ActorView): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined) {
        this.#take(held);
      }
    }, PACE_MS);
    this.take(view);
  }
}
