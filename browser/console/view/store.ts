// What the page shows, and what it is told: the model behind one signal that changes once a frame.

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Caller } from "actr";

import type { Presence, PresenceEvent } from "../../src/protocol/signaling/presence";
import type { SignalingState } from "../../src/wire/signaling/upkeep";
import { Realm, type Row } from "../model/realm";
import type { Leave } from "../session/certified";
import { type About, Session } from "../session/session";
import { Watches } from "../session/watches";

/** Letters of a text that is kept, for people. */
const MAX_TEXT = 400;

/**
 * Where the page stands: it reads what its service says of itself; it asks for what proves it; it
 * joins; it is there; it cannot be.
 */
export type Stage = "reading" | "asking" | "joining" | "there" | "failed";

/** What the service at this address says of itself; rejects with its own words if it does not want to. */
export async function readAbout(address: string): Promise<About> {
  const answer = await fetch(address, { credentials: "omit", signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) {
    const words = (await answer.text()).trim().slice(0, MAX_TEXT);
    throw new Error(words || `The service answers ${answer.status} ${answer.statusText}`);
  }
  return (await answer.json()) as About;
}

export class Store {
  readonly stage = signal<Stage>("reading");
  /** Why it cannot join, or did not. */
  readonly trouble = signal("");
  readonly signaling = signal<SignalingState>("connecting");
  /** Why the console is registered nowhere; empty: it is, or nobody has said. */
  readonly absence = signal("");
  readonly realmName = signal("default");
  about: About | undefined;
  realm = new Realm();
  session: Session | undefined;
  watches: Watches | undefined;
  readonly #frame = signal(0);
  readonly #second = signal(0);
  #isAsked = false;
  /** Whom the page wants to look into first, as it said last. */
  #first: readonly string[] = [];
  /** Somebody has come since. */
  #hasCome = false;

  constructor(readonly origin: string) {
    setInterval(() => {
      this.#second.value += 1;
    }, 1000);
  }

  /** Changes when the model has: read it in what shows the model. */
  get frame(): ReadonlySignal<number> {
    return this.#frame;
  }

  /** Changes once a second: read it in what shows times. */
  get second(): ReadonlySignal<number> {
    return this.#second;
  }

  /** Reads what the service says, and joins where nobody has to prove anything. */
  async start(leave?: Leave): Promise<void> {
    try {
      this.about = await readAbout("/console.json");
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.about.proof === "none" || leave !== undefined) {
      await this.join(this.realmName.value, leave);
    } else {
      this.stage.value = "asking";
    }
  }

  /** Begins anew where the service does not take this session any more: with a new proof, where it wants one. */
  async rejoin(): Promise<void> {
    this.trouble.value = this.absence.value;
    this.stage.value = "reading";
    await this.leave();
    await this.start();
  }

  /** Joins a realm, and leaves the one before it. */
  async join(realm: string, leave: Leave | undefined): Promise<void> {
    this.stage.value = "joining";
    this.trouble.value = "";
    await this.leave();
    this.realm = new Realm();
    this.realmName.value = realm;
    const sink = {
      presence: (event: PresenceEvent) => this.heard(event),
      state: (state: SignalingState) => this.#moved(state),
      warned: (text: string) => this.#error(text),
    };
    try {
      const { session, present } = await Session.join({ origin: this.origin, realm, about: this.about!, leave, sink });
      this.#joined(session, present);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Somebody came, changed or left. */
  heard(event: PresenceEvent): void {
    const id = event.presence.id.text;
    if (this.realm.presence(event, Date.now())) {
      this.watches?.again(id);
    }
    if (event.change === "leave") {
      this.watches?.forget(id);
    }
    this.#hasCome ||= event.change === "join";
    this.changed();
  }

  #joined(session: Session, present: readonly Presence[]): void {
    this.session = session;
    this.realm.fill(present, Date.now());
    this.look((id) => session.to(id));
    this.stage.value = "there";
    this.changed();
  }

  /** Begins to look into actors: into those that are wanted. */
  look(to: (id: string) => Caller): void {
    this.watches = new Watches(to, {
      isThere: (id) => this.realm.rows.has(id),
      view: (id, view) => {
        this.realm.view(id, view, Date.now());
        this.changed();
      },
      looking: (id, state, why) => {
        this.realm.looking(id, state, why);
        this.changed();
      },
    });
  }

  async leave(): Promise<void> {
    this.watches?.close();
    const { session } = this;
    this.watches = this.session = undefined;
    await session?.close();
  }

  /** Shows the model again, with the next frame: however much has changed, once. */
  changed(): void {
    if (!this.#isAsked) {
      this.#isAsked = true;
      requestAnimationFrame(() => {
        this.#isAsked = false;
        if (this.#hasCome) {
          this.want(this.#first); // one that came in the place of another changes nothing that is shown
        }
        this.#frame.value += 1;
      });
    }
  }

  /** Looks into these actors first, and then into all others, as far as the bound goes. */
  want(first: readonly string[]): void {
    this.#first = first;
    this.#hasCome = false;
    this.watches?.want(first, this.realm.rows.keys());
  }

  row(id: string): Row | undefined {
    return this.realm.rows.get(id);
  }

  #moved(state: SignalingState): void {
    if (state === "connecting" && this.signaling.value === "refused") {
      return; // it is asked again, and stays refused until it is answered otherwise
    }
    // Refused is not away: of the package's clause its last part is the service's own words.
    this.absence.value = (this.session?.signaling.trouble ?? "").replace(/^signaling at \S+ is away: /, "");
    this.signaling.value = state;
    if (state === "waiting" && this.session !== undefined) {
      this.#error("signaling is away: who comes and goes is not heard");
    }
  }

  #error(text: string): void {
    this.realm.events.add({ at: Date.now(), kind: "error", actor: this.session?.id.text ?? "", text: text.slice(0, MAX_TEXT) });
    this.changed();
  }

  #fail(error: unknown): void {
    this.trouble.value = error instanceof Error ? error.message : String(error);
    this.stage.value = this.about === undefined || this.about.proof === "none" ? "failed" : "asking";
  }
}
