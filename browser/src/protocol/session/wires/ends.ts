// The wires of a session as it sees them, which one it uses, and its news.

import { RemoteProtocolError } from "../../../errors";
import { concat } from "../../bytes";
import { type ByteLane, MAX_WIRE_MESSAGE_BYTES, type WireKind } from "../../payload";
import { type ByeReason, encodePing, encodePong } from "../frames";
import type { Lanes } from "../lanes";
import type { Timing } from "../sender";
import { BASES, type Flight } from "./flight";
import { FAILED_AFTER, Heartbeat } from "./heartbeat";
import { best, WireState, type WireView } from "./policy";

/** The channel of HELLO, ACK, ASK and BYE. */
export const CONTROL = 1;
/** The channel of PING and PONG: unordered, so that a lost one does not hold up the next. */
const PULSE = 3;

/** Messages that wait for the far side's HELLO; lanes send again what is dropped here. */
export const MAX_UNGREETED = 64;
export const MAX_UNGREETED_BYTES = 256 * 1024;
/** Seconds between two HELLOs while the far side has not been heard. */
export const HELLO_EVERY = 0.3;
/**
 * HELLOs, PINGs, PONGs, ASKs and BYEs on one wire in a second. A peer sends about ten; what a wire
 * held up for seconds comes at once.
 */
export const MAX_WORDS = 512;
/** Seconds between two answers to ASKs: one word of two bytes makes one of twenty-four. */
const ANSWER_EVERY = 0.02;
/** Seconds: a frame waits at least so long before it goes out again on another wire. */
export const RTO_MIN = 0.2;
/** Seconds: likewise on the same wire. */
const PATIENCE_MIN = 1;
/** Seconds after which a wire that was suspect is like any other. */
const PROBATION = 3;

/** A wire message and its channel. */
export interface WireMessage {
  readonly channel: number;
  readonly data: Uint8Array;
}

/**
 * This side's end of one wire.
 *
 * A wire belongs to one pair of incarnations. It carries nothing but HELLO until the far side's
 * HELLO has come (`isGreeted`).
 */
export class End {
  /** Longest wire message taken from the far side. */
  readonly maxMessageBytes: number;
  heart: Heartbeat;
  /** The far side's HELLO has come. */
  isGreeted = false;
  /** Something else has come: the far side has this side's HELLO. */
  isHeard = false;
  /** When HELLO is sent again if nothing is heard. */
  helloAt: number;
  parkedBytes = 0;
  /** Number of the newest ping that is not answered: a flood of them has one answer. */
  pong: number | null = null;
  /** Lanes of which an acknowledgement goes out here, as bits. */
  owed = 0;
  /** What goes before all others. */
  readonly control: WireMessage[] = [];
  /** What came before the HELLO. */
  private parked: WireMessage[] = [];
  /** When an ASK was last answered here. */
  private answeredAt = -Infinity;
  private words = 0;
  private wordsSince = -Infinity;

  /** @param order among all wires of the session, in order of opening */
  constructor(
    readonly id: number,
    readonly kind: WireKind,
    readonly openedAt: number,
    readonly wasDialled: boolean,
    readonly order: number,
  ) {
    this.maxMessageBytes = MAX_WIRE_MESSAGE_BYTES[kind];
    this.heart = new Heartbeat(openedAt);
    this.helloAt = openedAt;
  }

  get state(): WireState {
    const { state } = this.heart;
    return state === WireState.READY && !this.isGreeted ? WireState.CONNECTING : state;
  }

  /** Whether it is usable and answers every ping. */
  get isSound(): boolean {
    return this.isGreeted && this.state === WireState.READY && this.heart.missed === 0;
  }

  /** Keeps what came before the HELLO, within bounds; returns how many bytes that took. */
  park(channel: number, data: Uint8Array): number {
    const size = data.length;
    if (this.parked.length >= MAX_UNGREETED || this.parkedBytes + size > MAX_UNGREETED_BYTES) {
      return 0;
    }
    this.parked.push({ channel, data });
    this.parkedBytes += size;
    return size;
  }

  /** What was parked, oldest first; nothing is, after this. */
  unpark(): WireMessage[] {
    const { parked } = this;
    this.parked = [];
    this.parkedBytes = 0;
    return parked;
  }

  /**
   * A HELLO, PING, PONG, ASK or BYE has come; peers say few. Throws `RemoteProtocolError` if that is
   * a flood.
   */
  countWord(now: number): void {
    if (now - this.wordsSince >= 1) {
      this.words = 0;
      this.wordsSince = now;
    }
    this.words++;
    if (this.words > MAX_WORDS) {
      throw new RemoteProtocolError(`over ${MAX_WORDS} words about one wire in a second`);
    }
  }

  /** The far side asks for word of a lane; it is given at most every `ANSWER_EVERY`. */
  ask(lane: number, now: number): void {
    if (now === this.answeredAt || now - this.answeredAt >= ANSWER_EVERY) {
      this.answeredAt = now;
      this.owed |= 1 << lane;
    }
  }

  /** The far side's HELLO has come; the pulse begins. */
  greet(now: number): void {
    this.isGreeted = true;
    this.heart = new Heartbeat(now);
  }

  /** A far side that never greets has failed. */
  judge(now: number): void {
    if (!this.isGreeted && now - this.openedAt >= FAILED_AFTER) {
      this.heart.state = WireState.FAILED;
    }
  }

  /** When HELLO is sent again or `judge` has something to say, seconds. */
  get helloDue(): number {
    if (this.isGreeted || this.state === WireState.FAILED) {
      return this.helloAt;
    }
    return Math.min(this.helloAt, this.openedAt + FAILED_AFTER);
  }

  /** Sends this before all else here. */
  say(data: Uint8Array): void {
    this.control.push({ channel: CONTROL, data });
  }

  /** Sends a PING if it is time; returns whether it was. */
  ping(now: number): boolean {
    const number = this.heart.ping(now);
    if (number !== null) {
      this.control.push({ channel: PULSE, data: encodePing(number) });
    }
    return number !== null;
  }

  /** The far side has pinged: it gets an answer, and this side may need none of its own. */
  asked(number: number, now: number): void {
    this.pong = number;
    if (!this.wasDialled) {
      this.heart.asked(now);
    }
  }

  /** Whether something goes before all else here. */
  get hasControl(): boolean {
    return this.control.length > 0 || this.pong !== null || this.owed !== 0;
  }

  /** The next of what does; there is some. */
  takeControl(lanes: Lanes): WireMessage {
    const next = this.control.shift();
    if (next !== undefined) {
      return next;
    }
    if (this.pong !== null) {
      const data = encodePong(this.pong);
      this.pong = null;
      return { channel: PULSE, data };
    }
    const { owed } = this;
    this.owed = 0;
    return { channel: CONTROL, data: concat(lanes.acksOf(owed)) };
  }

  /**
   * When frames sent here are overdue. For a while after a break the round trips measured are those
   * of the backlog: the other wire is tried as soon as on a fast path.
   */
  timing(now: number): Timing {
    const { rtt, recoveredAt } = this.heart;
    const isOnProbation = now - recoveredAt < PROBATION;
    const other = isOnProbation ? RTO_MIN : Math.max(RTO_MIN, 4 * rtt);
    return { other, same: Math.max(PATIENCE_MIN, 8 * rtt) };
  }

  get view(): WireView {
    return {
      id: this.id,
      kind: this.kind,
      state: this.state,
      isTrusted: this.heart.isTrusted,
      wasDialled: this.wasDialled,
      openedAt: this.openedAt,
      provedAt: this.heart.trustedAt,
      isAnswering: this.heart.good > 0,
    };
  }
}

/** Which of a session's wires new frames take. */
export class Choice {
  /** What frames of reliable lanes take. */
  active: End | null = null;
  /**
   * What latency-first frames take: another wire as soon as a ping of the active one is missed, for
   * these frames are not sent again.
   */
  brisk: End | null = null;

  /**
   * @param ends the open wires by id; the session keeps it up to date
   * @param prefer kinds, best first
   * @param flight told of each wire that is chosen
   */
  constructor(
    private readonly ends: ReadonlyMap<number, End>,
    private readonly prefer: readonly WireKind[],
    private readonly flight: Flight,
  ) {}

  private get greeted(): End[] {
    return [...this.ends.values()].filter((end) => end.isGreeted);
  }

  /** A wire has come, gone, or changed. */
  again(): void {
    const views = this.greeted.map((end) => end.view);
    const chosen = best(views, this.prefer, this.active?.id ?? null);
    const before = this.active;
    this.active = chosen === null ? null : this.ends.get(chosen)!;
    if (this.active !== null && this.active !== before) {
      this.flight.begin(BASES[this.active.kind]);
    }
    this.briskAgain();
  }

  /** A ping was missed, or answered after that. */
  briskAgain(): void {
    this.brisk = this.active;
    if (this.active !== null && this.active.heart.missed > 0) {
      this.brisk = [...this.ends.values()].find((end) => end.isSound) ?? this.active;
    }
  }

  /** When some wire is next to be pinged. */
  get pulseDue(): number {
    return Math.min(...this.greeted.map((end) => end.heart.due));
  }

  /** A wire is gone; `again` follows. */
  drop(end: End): void {
    if (end === this.active) {
      this.active = null;
    }
  }

  /** The usable wires by id, the active one first, those that only recover last. */
  timings(now: number): Map<number, Timing> {
    const { greeted } = this;
    const suspect = greeted.filter((end) => end.state === WireState.SUSPECT);
    let usable = greeted.filter((end) => end.state === WireState.READY);
    usable.push(...suspect.filter((end) => end.heart.good > 0));
    usable = usable.length > 0 ? usable : suspect;
    usable.sort((a, b) => Number(a !== this.active) - Number(b !== this.active));
    return new Map(usable.map((end) => [end.id, end.timing(now)]));
  }
}

/** What the owner of a session must hear. */
export type News =
  /** A wire's state is another one now. */
  | { readonly kind: "changed"; readonly wire: number; readonly state: WireState }
  /** A wire that cannot be used: it belongs to a process that is no more. */
  | { readonly kind: "refused"; readonly wire: number }
  /**
   * The far side is a new process; wires to the old one are refused before this. `lastDelivered`
   * has the last number of this side's that the old process acknowledged, -1: none.
   */
  | { readonly kind: "restarted"; readonly lastDelivered: ReadonlyMap<ByteLane, number> }
  /** The far side said BYE on a wire. */
  | { readonly kind: "left"; readonly wire: number; readonly reason: ByeReason };
