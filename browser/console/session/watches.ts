// Who is being looked at: a bounded number of `actr.Inspection.Watch`, those that are wanted most first.
// One that has refused takes the place of nobody who lets look.
//
//     want(ids) ──▶ asking ──view──▶ looking ──link lost──▶ away ──later──▶ asking
//                      └─refused─▶ shut | refused | busy ──later, or another process──▶ asking

import { CallError, type Caller, Code } from "actr";

import type { ActorView } from "../gen/actr/services/inspection_pb";
import type { Looking } from "../model/realm";
import { undecoded } from "../model/weight";
import { Pace } from "./pace";
import { InspectionService } from "../gen/actr/services/inspection_actr";

/** Actors that are looked at at once: each is a connection of this page, and a view a second. */
export const MAX_WATCHES = 32;
/** Of those, so many may be without a first view yet: a realm of strangers must not take all turns. */
export const MAX_ASKING = 8;
const FIRST_SECONDS = 12;
const MAX_RETRY_SECONDS = 30;
/** An actor that lets nobody look may be told to when it starts anew; else it is asked rarely. */
const SHUT_RETRY_SECONDS = 60;
/** So much later yet where it is not on the screen: there may be hundreds of them. */
const ELSEWHERE_SECONDS = 600;

const WATCH = { ...InspectionService.WATCH, reply: undecoded(InspectionService.WATCH.reply) };

export interface WatchSink {
  /** Whether it is online: who has left may be wanted still, and come back. */
  isThere(id: string): boolean;
  view(id: string, view: ActorView): void;
  looking(id: string, state: Looking, why: string): void;
}

interface Watch {
  state: Looking;
  tries: number;
  /** Not before, in milliseconds. */
  notBefore: number;
  stop: AbortController | undefined;
}

export class Watches {
  readonly #watches = new Map<string, Watch>();
  /** Those on the screen. */
  #first: ReadonlySet<string> = new Set();
  #others: readonly string[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param to how an actor is called */
  constructor(
    private readonly to: (id: string) => Caller,
    private readonly sink: WatchSink,
  ) {
    this.#timer = setInterval(() => this.#fill(), 1000);
  }

  /**
   * Says who is to be looked at.
   *
   * @param first those on the screen, which matter most, and may end the look at one that is not there
   * @param others as far as there is room
   */
  want(first: readonly string[], others: Iterable<string> = []): void {
    this.#first = new Set(first);
    this.#others = [...others];
    this.#fill();
  }

  /** The actor is another process now, or a person asks: it may answer otherwise. */
  again(id: string): void {
    if (this.#watches.get(id)?.stop === undefined) {
      this.#watches.delete(id);
      this.#fill();
    }
  }

  /** It has left; where it is wanted still, it is looked into again when it is back. */
  forget(id: string): void {
    this.#watches.get(id)?.stop?.abort();
    this.#watches.delete(id);
  }

  close(): void {
    clearInterval(this.#timer);
    this.want([]);
    for (const { stop } of this.#watches.values()) {
      stop?.abort();
    }
    this.#watches.clear();
  }

  get running(): number {
    return [...this.#watches.values()].filter(({ stop }) => stop !== undefined).length;
  }

  #fill(): void {
    let asking = [...this.#watches.values()].filter(({ state }) => state === "asking").length;
    let { running } = this;
    for (const id of this.#next()) {
      if (asking >= MAX_ASKING) {
        break;
      }
      if (running >= MAX_WATCHES) {
        const spare = this.#isFresh(id) && this.#first.has(id) ? this.#spare() : undefined;
        if (spare === undefined) {
          break;
        }
        asking -= this.#watches.get(spare)!.state === "asking" ? 1 : 0;
        running -= 1;
        this.#end(spare);
      }
      asking += 1;
      running += 1;
      this.#begin(id);
    }
  }

  /** Who is to be asked now: those on the screen, then those that never were, then those that waited the longest. */
  #next(): string[] {
    const now = performance.now();
    const may = [...new Set([...this.#first, ...this.#others])].filter((id) => {
      const watch = this.#watches.get(id);
      const rarely = this.#first.has(id) || this.#isFresh(id) ? 0 : ELSEWHERE_SECONDS * 1000;
      return this.sink.isThere(id) && (watch === undefined || (watch.stop === undefined && watch.notBefore + rarely <= now));
    });
    const since = (id: string) => this.#watches.get(id)?.notBefore ?? 0;
    const rank = (id: string) => (this.#isFresh(id) && this.#first.has(id) ? 0 : this.#watches.has(id) ? 2 : 1);
    return may.sort((a, b) => rank(a) - rank(b) || (rank(a) === 2 ? since(a) - since(b) : 0));
  }

  /** Nobody has asked it, or it has not refused: it is worth another one's place. */
  #isFresh(id: string): boolean {
    const state = this.#watches.get(id)?.state;
    return state !== "shut" && state !== "refused";
  }

  /** One that is looked into and is not on the screen: others go on, for who comes back to them. */
  #spare(): string | undefined {
    return [...this.#watches].find(([id, { stop }]) => stop !== undefined && !this.#first.has(id))?.[0];
  }

  #end(id: string): void {
    this.#watches.get(id)?.stop?.abort();
    this.#watches.delete(id);
    this.sink.looking(id, "none", "");
  }

  #begin(id: string): void {
    const stop = new AbortController();
    const watch: Watch = { state: "asking", tries: this.#watches.get(id)?.tries ?? 0, notBefore: 0, stop };
    this.#watches.set(id, watch);
    this.sink.looking(id, "asking", "");
    void this.#run(id, watch, stop);
  }

  async #run(id: string, watch: Watch, stop: AbortController): Promise<void> {
    const pace = new Pace(
      (view) => this.#watches.get(id) === watch && this.sink.view(id, view),
      (error) => stop.abort(error),
    );
    let why: unknown = new Error("it has ended what it told");
    const late = setTimeout(() => stop.abort(new Error(`no word of it within ${FIRST_SECONDS} s`)), FIRST_SECONDS * 1000);
    try {
      for await (const view of this.to(id).serverStream(WATCH, { intervalMs: 1000 }, { signal: stop.signal })) {
        if (this.#watches.get(id) !== watch) {
          return;
        }
        pace.give(view);
        clearTimeout(late);
        if (watch.state !== "looking") {
          this.#move(id, watch, "looking", "");
          watch.tries = 0;
        }
      }
    } catch (error) {
      why = error;
    } finally {
      pace.end();
      clearTimeout(late);
    }
    if (this.#watches.get(id) !== watch) {
      return; // somebody has ended it
    }
    watch.stop = undefined;
    watch.tries += 1;
    const state = stateOf(why);
    const wait = state === "shut" || state === "refused" ? SHUT_RETRY_SECONDS : Math.min(MAX_RETRY_SECONDS, 2 ** watch.tries / 2);
    watch.notBefore = performance.now() + wait * 1000;
    this.#move(id, watch, state, why instanceof Error ? why.message : String(why));
    this.#fill();
  }

  #move(id: string, watch: Watch, state: Looking, why: string): void {
    watch.state = state;
    this.sink.looking(id, state, why);
  }
}

function stateOf(error: unknown): Looking {
  switch (error instanceof CallError ? error.code : undefined) {
    case Code.UNIMPLEMENTED:
      return "shut";
    case Code.PERMISSION_DENIED:
    case Code.UNAUTHENTICATED:
      return "refused";
    case Code.RESOURCE_EXHAUSTED:
      return "busy";
    default:
      return "away";
  }
}
