// Whether one wire is alive, told by its own round trips.
//
// A wire that accepts every send is not thereby alive: a dead path is noticed after some seconds
// below. So each wire is pinged, often while there is traffic, seldom while there is none. An answer
// proves both directions. Word that frames sent on this wire have arrived proves the one that this
// side uses it for, and counts as much: a full wire may answer late.
//
// When the last message is some time ago, the next ping comes after as long again, within the
// bounds: most traffic is a call now and then, and pings for seconds after each would cost more than
// it. A ping without an answer, and the next message, bring the quick pace back at once.
//
// Where nothing goes on, one side's pings do for both: that which has dialled the wire asks, and who
// is asked at an idle pace knows that the answer before has arrived. When pings come faster, or none
// comes, it asks itself.

import { nearFineGrid, onFineGrid, onGrid } from "../../wire/grid";
import { WireState } from "./policy";

const FASTEST = 0.15;
const SLOWEST = 0.5;
/** Seconds between two pings: bounds of the interval under traffic, and without. */
export const IDLE = 3;
/** Seconds after which a side that did not dial pings an idle wire, since the far side did. */
const ASKED = 3.5;
/** Seconds between two pings of the far side's below which the wire is not idle there. */
const HURRIED = IDLE / 2;
/** Seconds that the last traffic counts as traffic. */
const BUSY_FOR = 2;
/** Pings without an answer that make a wire suspect. */
const MAX_MISSED = 3;
/** Answers in a row that make it good again. */
const TRUSTED_AFTER = 3;
/** Seconds without an answer that make it failed. */
export const FAILED_AFTER = 10;
/** Seconds above four round trips from where on a longer one is taken as no longer. */
const OUTLIER = 0.05;
/** Seconds assumed before the first measurement. */
const FIRST_RTT = 0.05;

/** One wire's pulse. It starts READY, not yet trusted. */
export class Heartbeat {
  state: WireState = WireState.READY;
  /** Answers in a row. */
  good = 0;
  /** Pings in a row that had no answer when the next was due. */
  missed = 0;
  number = 0;
  /** Smoothed round trip, seconds; null before the first. */
  srtt: number | null = null;
  /** When the wire last proved both directions. */
  proofAt: number;
  /** When it was first trusted. */
  trustedAt = Infinity;
  /** When it was last good again after having been suspect. */
  recoveredAt = -Infinity;
  private busyUntil = -Infinity;
  /** When the far side last pinged. */
  private askedAt = -Infinity;
  private pingAt: number;
  /** When each of the newest pings went out that have no answer; oldest first. */
  private readonly waiting = new Map<number, number>();

  constructor(now: number) {
    this.proofAt = this.pingAt = now;
  }

  /** Whether it has answered several times in a row. */
  get isTrusted(): boolean {
    return this.good >= TRUSTED_AFTER;
  }

  /** Smoothed round trip, or a guess before the first; seconds. */
  get rtt(): number {
    return this.srtt ?? FIRST_RTT;
  }

  /** When `ping` is next needed. */
  get due(): number {
    return this.pingAt;
  }

  /** Seconds from one ping to the next where it matters most. */
  private get pace(): number {
    return Math.min(SLOWEST, Math.max(FASTEST, 2 * this.rtt));
  }

  /** Seconds from one ping to the next, if this one is answered. */
  private interval(now: number): number {
    if (!this.isTrusted || this.missed > 0) {
      return this.pace;
    }
    if (now >= this.busyUntil) {
      return IDLE;
    }
    return Math.min(SLOWEST, Math.max(this.pace, now + BUSY_FOR - this.busyUntil));
  }

  /** Traffic goes over this wire; returns whether `due` has come nearer. */
  busy(now: number): boolean {
    const isFlowing = now + BUSY_FOR - this.busyUntil < FASTEST;
    this.busyUntil = now + BUSY_FOR;
    if (isFlowing) {
      return false;
    }
    const soon = onFineGrid(now + this.pace);
    if (soon >= this.pingAt) {
      return false;
    }
    this.pingAt = soon;
    return true;
  }

  /** The number of the ping to send now, or null if it is not time. */
  ping(now: number): number | null {
    if (now < this.pingAt) {
      return null;
    }
    if (this.waiting.size > 0) {
      this.missed++;
      this.good = 0;
      this.judge(now);
    }
    this.number = (this.number + 1) >>> 0;
    this.waiting.set(this.number, now);
    for (const oldest of this.waiting.keys()) {
      if (this.waiting.size <= 2 * MAX_MISSED) {
        break;
      }
      this.waiting.delete(oldest);
    }
    // An answer puts it off, where little goes on: one that is missing is noticed at once.
    const patience = now < this.busyUntil ? this.pace : SLOWEST;
    this.pingAt = nearFineGrid(now + Math.min(this.interval(now), patience));
    return this.number;
  }

  /** The far side, which has dialled this wire, has pinged: `due` may have moved. */
  asked(now: number): void {
    const before = this.askedAt;
    this.askedAt = now;
    if (this.interval(now) < IDLE) {
      return;
    }
    if (now - before < HURRIED) {
      // It has traffic, or hears nothing from here.
      this.busy(now);
      this.pingAt = now;
    } else if (this.waiting.size === 0) {
      this.proofAt = now;
      this.pingAt = Math.max(this.pingAt, onGrid(now + ASKED));
    }
  }

  /** An answer came; one that nobody asked for changes nothing. */
  pong(number: number, now: number): void {
    const sentAt = this.waiting.get(number);
    if (sentAt === undefined) {
      return;
    }
    for (const older of this.waiting.keys()) {
      if (older <= number) {
        this.waiting.delete(older);
      }
    }
    this.good++;
    if (this.good === TRUSTED_AFTER && this.trustedAt === Infinity) {
      this.trustedAt = now;
    }
    if (this.missed === 0) {
      this.sample(now - sentAt); // else it waited out a break, which says nothing of the path
    }
    this.alive(now);
    if (this.waiting.size === 0) {
      this.putOff(sentAt, now);
    }
  }

  /** The newest ping, sent at `sentAt`, is answered: the next has time. */
  private putOff(sentAt: number, now: number): void {
    const interval = this.interval(now);
    // A ping at the end of the busy time would look hurried to a far side whose own is over.
    if (this.isTrusted && this.missed === 0 && sentAt + interval >= this.busyUntil) {
      this.pingAt = onGrid(Math.max(now + IDLE, this.askedAt + ASKED));
    } else {
      this.pingAt = Math.max(this.pingAt, nearFineGrid(sentAt + interval));
    }
  }

  /** What went over this wire is known to have arrived. */
  alive(now: number): void {
    this.missed = 0;
    this.proofAt = now;
    if (this.state === WireState.SUSPECT && this.isTrusted) {
      this.state = WireState.READY;
      this.recoveredAt = now;
    }
  }

  /** Prefer any other wire until this one has answered several times. */
  doubt(now: number): void {
    if (this.state === WireState.READY) {
      this.state = WireState.SUSPECT;
      this.good = 0;
      this.pingAt = now;
    }
  }

  /**
   * Takes one measured round trip (RFC 6298's smoothing, with its weight of 1/8). One that stands
   * out counts for less: what waited in a wire that stood still for a moment must not make this
   * side wait as long the next time.
   */
  sample(seconds: number): void {
    this.srtt =
      this.srtt === null
        ? seconds
        : this.srtt + (Math.min(seconds, 4 * this.srtt + OUTLIER) - this.srtt) / 8;
  }

  private judge(now: number): void {
    if (this.missed < MAX_MISSED || this.state === WireState.FAILED) {
      return;
    }
    // Both conditions: a page that was stopped for long finds old times, not missed pings.
    const isOverdue = now - this.proofAt >= FAILED_AFTER;
    this.state = isOverdue ? WireState.FAILED : WireState.SUSPECT;
  }
}
