// What has happened, newest last: so many are kept, in the order of their times.

/** Older ones are forgotten. */
export const MAX_EVENTS = 2000;
/** Both ends of a link tell of one wire: milliseconds within which their words are one event. */
const SAME_MS = 2000;
/** Of a text that somebody else has written. */
const MAX_TEXT = 400;

export type EventKind = "join" | "leave" | "up" | "down" | "error";
export const KINDS: readonly EventKind[] = ["join", "leave", "up", "down", "error"];

export interface RealmEvent {
  /** Rises in the order in which the page heard of them. */
  readonly number: number;
  /** Milliseconds, by the page's clock. */
  readonly at: number;
  readonly kind: EventKind;
  readonly actor: string;
  /** The far end, of a wire. */
  readonly remote?: string;
  /** `webrtc` or `websocket`, of a wire. */
  readonly wire?: string;
  readonly text: string;
}

export interface EventFilter {
  readonly kinds: ReadonlySet<EventKind>;
  /** Part of an id or of the text, in small letters. */
  readonly text: string;
}

export class EventLog {
  readonly #events: RealmEvent[] = [];
  /** How many there ever were. */
  total = 0;

  /** Notes one, unless the other end has told of it already. */
  add(event: Omit<RealmEvent, "number">): boolean {
    if (event.wire !== undefined && this.#isTold(event)) {
      return false;
    }
    this.total += 1;
    const text = event.text.length > MAX_TEXT ? `${event.text.slice(0, MAX_TEXT)}…` : event.text;
    let place = this.#events.length;
    while (place > 0 && this.#events[place - 1]!.at > event.at) {
      place -= 1;
    }
    this.#events.splice(place, 0, { ...event, text, number: this.total });
    if (this.#events.length > MAX_EVENTS) {
      // By arrival: who tells of times to come, or long gone, must not push out what others tell.
      const oldest = this.#events.reduce((least, { number }, at, all) => (number < all[least]!.number ? at : least), 0);
      this.#events.splice(oldest, 1);
    }
    return true;
  }

  /** Whether the other end has told of the same. */
  #isTold({ at, kind, wire, actor, remote }: Omit<RealmEvent, "number">): boolean {
    for (let place = this.#events.length - 1; place >= 0 && this.#events[place]!.at >= at - SAME_MS; place--) {
      const known = this.#events[place]!;
      const isOther = known.actor === remote && known.remote === actor;
      if (isOther && known.kind === kind && known.wire === wire && known.at <= at + SAME_MS) {
        return true;
      }
    }
    return false;
  }

  get size(): number {
    return this.#events.length;
  }

  /** Those that pass, newest first, at most `most`. */
  filtered({ kinds, text }: EventFilter, most: number): RealmEvent[] {
    const found: RealmEvent[] = [];
    for (let place = this.#events.length - 1; place >= 0 && found.length < most; place--) {
      const event = this.#events[place]!;
      if (kinds.has(event.kind) && (text === "" || isAbout(event, text))) {
        found.push(event);
      }
    }
    return found;
  }
}

function isAbout({ actor, remote = "", text }: RealmEvent, part: string): boolean {
  return [actor, remote, text].some((each) => each.toLowerCase().includes(part));
}
