// So many views of an actor at most, however many it tells: of those in between the newest.
//
// What waits is bytes: an actor may tell anything, and as much as a message holds, and only what is no
// larger than an honest view is decoded.

import { fromBinary } from "@bufbuild/protobuf";
import { LimitError } from "actr";

import { type ActorView, ActorViewSchema } from "../gen/actr/services/inspection_pb";
import { MAX_CHANGES } from "../model/bounds";
import { countMessages } from "../model/weight";

/** Milliseconds between two views that are taken; an honest actor tells one in 100 at most. */
export const PACE_MS = 50;
/** Of a view, and of all that wait: of 512 links with all that is told of them it has half as many. */
export const MAX_VIEW_BYTES = 1024 * 1024;
/** The same for messages within: links, wires, lanes, changes, streams, tracks and counts are some 8000. */
export const MAX_VIEW_MESSAGES = 16_384;

interface Told {
  readonly data: Uint8Array;
  readonly messages: number;
}

export class Pace {
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Oldest first. */
  #held: Told[] = [];

  /** @param wrong told of what was held and cannot be decoded */
  constructor(
    private readonly take: (view: ActorView) => void,
    private readonly wrong: (error: unknown) => void,
  ) {}

  /** Throws `LimitError` for a view of more than an honest actor can tell, `RemoteProtocolError` for none. */
  give(data: Uint8Array): void {
    if (data.length > MAX_VIEW_BYTES) {
      throw new LimitError("bytes of a view", MAX_VIEW_BYTES, data.length);
    }
    const messages = countMessages(ActorViewSchema, data, MAX_VIEW_MESSAGES);
    if (messages > MAX_VIEW_MESSAGES) {
      throw new LimitError("messages of a view", MAX_VIEW_MESSAGES, messages);
    }
    this.#held.push({ data, messages });
    if (this.#timer === undefined) {
      this.#next();
      return;
    }
    while (!isOne(this.#held)) {
      this.#held.shift(); // its changes are lost, as those are that an actor forgets
    }
  }

  /** Takes what is held: no more will come. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#late(() => this.#take());
  }

  /** Takes what is held, and no more for a while. */
  #next(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#late(() => this.#next());
    }, PACE_MS);
    this.#take();
  }

  #late(take: () => void): void {
    try {
      if (this.#held.length > 0) {
        take();
      }
    } catch (error) {
      this.wrong(error);
    }
  }

  #take(): void {
    const views = this.#held.splice(0).map(({ data }) => fromBinary(ActorViewSchema, data, { readUnknownFields: false }));
    const newest = views.at(-1)!;
    // Each tells what has changed since the one before it.
    const changes = views.filter(({ incarnation }) => incarnation === newest.incarnation).flatMap(({ changes }) => changes);
    newest.changes = changes.slice(-MAX_CHANGES);
    this.take(newest);
  }
}

/** Whether all of them together are no more than one may be. */
function isOne(held: readonly Told[]): boolean {
  const sum = (of: (each: Told) => number) => held.reduce((all, each) => all + of(each), 0);
  return sum(({ data }) => data.length) <= MAX_VIEW_BYTES && sum(({ messages }) => messages) <= MAX_VIEW_MESSAGES;
}
