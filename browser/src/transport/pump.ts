// The pump: takes from the session what may go, hands it to the wires, and keeps the one timer.
//
// A message sent while nothing else is under way is written at once; what else is sent in the same
// turn is packed together at its end. A wire gets data only while it is not full, so that an urgent
// message never waits behind more than one wire's buffer.

import { BrokenError } from "../errors";
import { WIRE_MESSAGE_BYTES } from "../protocol/payload";
import type { Session } from "../protocol/session/session";
import type { Time } from "../time";
import type { LinkWire } from "./wire";

/**
 * A wire that holds so much gets not even pings: a far side that does not read cannot make this
 * page's memory grow, and fails its heartbeat.
 */
const STUCK_BYTES = 1024 * 1024;

export class Pump {
  private stopTimer: (() => void) | null = null;
  private armedAt = Infinity;
  /** A flush comes later in this turn: there is no need for one now. */
  private isHeld = false;
  /** Whether that one has anything to do. */
  private isWanted = false;

  /**
   * @param wires the open ones by id; the owner keeps it up to date
   * @param onTime called when the time has come that was asked for with `arm`
   * @param failed hears of a failure on this side, and ends the link
   */
  constructor(
    private readonly session: Session,
    private readonly wires: ReadonlyMap<number, LinkWire>,
    private readonly time: Time,
    private readonly onTime: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Something may go out: now if it is the first in this turn, else at its end. */
  kick(): void {
    if (this.isHeld) {
      this.isWanted = true;
      return;
    }
    this.isHeld = true;
    queueMicrotask(() => {
      this.isHeld = false;
      if (this.isWanted) {
        this.flush();
      }
    });
    this.flush();
  }

  /** Runs `work`, and flushes once behind it, or behind the outermost of several. */
  hold(work: () => void): void {
    const before = this.isHeld;
    this.isHeld = true;
    try {
      work();
    } finally {
      this.isHeld = before;
      if (before) {
        this.isWanted = true;
      } else {
        this.flush();
      }
    }
  }

  /** Hands over what the wires take; nothing is thrown. */
  flush(): void {
    this.isWanted = false;
    try {
      for (const [id, wire] of [...this.wires]) {
        this.flushOne(id, wire);
      }
      this.rearm();
    } catch (error) {
      this.failed(error);
    }
  }

  private flushOne(id: number, wire: LinkWire): void {
    while (!wire.isFull || wire.bufferedBytes < STUCK_BYTES) {
      const { isFull } = wire;
      const size = isFull ? WIRE_MESSAGE_BYTES : wire.maxMessageBytes;
      const item = this.session.take(id, this.time.now(), isFull, size);
      if (item === null) {
        return;
      }
      try {
        wire.send(item.channel, item.data);
      } catch (error) {
        if (!(error instanceof BrokenError)) {
          throw error;
        }
        this.session.close(id); // its owner hears of it from the wire itself
        return;
      }
    }
  }

  private rearm(): void {
    const { deadlines } = this.session;
    if (deadlines.isEased && this.armedAt !== -Infinity) {
      deadlines.isEased = false;
      this.stopTimer?.();
      this.armedAt = Infinity;
    }
    this.arm(deadlines.next);
  }

  /** Has the timer go off at `at` seconds or before. */
  arm(at: number): void {
    if (at >= this.armedAt) {
      return;
    }
    this.stopTimer?.();
    this.armedAt = at;
    this.stopTimer = this.time.after(at - this.time.now(), () => {
      this.stopTimer = null;
      this.armedAt = Infinity;
      this.onTime();
    });
  }

  /** Lets go of the timer: nothing arms it again. */
  stop(): void {
    this.stopTimer?.();
    this.armedAt = -Infinity;
  }
}
