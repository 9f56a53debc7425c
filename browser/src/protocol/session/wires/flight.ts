// How much bulk may be under way, so that what is urgent waits for little of it.
//
// What was handed to a wire and has not arrived stands before an urgent message: in this side's
// buffers, in the network's and in the far side's. So it has a bound, the sum of two:
//
//     what the far side needs to stay busy      base of the wire, but no more than PATIENCE of it
//     what the path holds                       twice the rate times the least round trip
//
// The base is what a busy machine needs, where the far process runs now and then: with less, the
// rate falls, with the rate the bound, and so on. Rate and round trip are measured as BBR does
// (draft-ietf-ccwg-bbr): the highest of some time, and the least of some time, which is looked for
// anew with half as much under way, for what is under way may be what makes it long.

import { WireKind } from "../../payload";

/** Bytes that a frame counts beside its payload: small ones take time, not bytes. */
export const FRAME_COST = 512;
/** Bytes that a busy process takes in one to ten milliseconds: of WebRTC far fewer than of TCP. */
export const BASES: Readonly<Record<WireKind, number>> = {
  [WireKind.WEBSOCKET]: 512 * 1024,
  [WireKind.WEBRTC]: 128 * 1024,
  [WireKind.RELAYED]: 128 * 1024,
};
/** May always be under way: the far side says at once of about 64 KiB that they have come. */
export const LEAST_BYTES = 96 * 1024;
/** Beyond the window of any lane. */
export const MOST_BYTES = 8 * 1024 * 1024;
/** Seconds that the base may take at the rate measured. */
const PATIENCE = 0.05;
/** Seconds by which a clock may be wrong: event loops count whole milliseconds. */
const GRAIN = 0.001;
/** Seconds over which a rate is measured, at least. */
const STRETCH = 0.01;
/** Seconds that the highest rate is believed, and twice that at most. */
const RATE_KEPT = 1;
/** Seconds that the least round trip is believed, and twice that at most. */
const ROUND_TRIP_KEPT = 10;

/**
 * What one wire measures, and the bound that follows. Whatever it is told, `limit` is between
 * `LEAST_BYTES` and `MOST_BYTES`. Instants are in seconds, and `now` does not go back.
 */
export class Flight {
  /** Bytes of one lane that may be under way, with `FRAME_COST` for each frame. */
  limit = MOST_BYTES;
  /**
   * Something has waited for the limit; who waits sets it. A rate is the path's then, and not that
   * at which something is sent.
   */
  wasHeld = false;
  private base = MOST_BYTES;
  private size = 0;
  /** When the stretch began in which so much has arrived; Infinity: none has begun. */
  private since = Infinity;
  private highest = 0;
  private highestBefore = 0;
  /** When the highest rate becomes that of the time before. */
  private rateAt = Infinity;
  private shortest = Infinity;
  private shortestBefore = Infinity;
  private shortestAt = Infinity;
  /** Until when the round trip is looked for with less under way. */
  private spareUntil = -Infinity;

  /** A wire with this base carries it from now on: nothing of it is known. */
  begin(base: number): void {
    Object.assign(this, new Flight());
    this.base = this.limit = base;
  }

  /** Highest of late, bytes a second; 0 before the first. */
  get rate(): number {
    return Math.max(this.highest, this.highestBefore);
  }

  /** Least round trip of late, seconds; Infinity before the first. */
  get least(): number {
    return Math.min(this.shortest, this.shortestBefore);
  }

  /** A round trip was measured. */
  roundTrip(seconds: number, now: number): void {
    if (now >= this.shortestAt) {
      if (this.shortest > this.shortestBefore) {
        this.spareUntil = now + 2 * Math.max(this.shortest, STRETCH);
      }
      this.shortestBefore = this.shortest;
      this.shortest = this.shortestAt = Infinity;
    }
    if (this.shortestAt === Infinity) {
      this.shortestAt = now + ROUND_TRIP_KEPT;
    }
    this.shortest = Math.min(this.shortest, seconds);
  }

  /** So many bytes have arrived, with `FRAME_COST` for each frame. */
  arrived(size: number, now: number): void {
    if (this.since === Infinity) {
      this.since = now; // what came before is not known, so neither is this one's rate
      return;
    }
    this.size += size;
    const took = now - this.since;
    if (took < STRETCH) {
      return;
    }
    const rate = this.size / took;
    this.highest = Math.max(this.highest, rate);
    if (now >= this.rateAt && this.wasHeld) {
      this.highestBefore = this.highest;
      this.highest = rate;
      this.rateAt = Infinity;
    }
    if (this.rateAt === Infinity) {
      this.rateAt = now + RATE_KEPT;
    }
    this.since = now;
    this.size = 0;
    this.wasHeld = false;
    this.bound(now);
  }

  private bound(now: number): void {
    const { rate, least } = this;
    let limit = Math.min(this.base, rate * PATIENCE);
    if (GRAIN < least && least < Infinity) {
      limit += 2 * rate * (least - GRAIN);
    }
    if (now < this.spareUntil) {
      limit /= 2;
    }
    this.limit = Math.floor(Math.min(Math.max(limit, LEAST_BYTES), MOST_BYTES));
  }
}
