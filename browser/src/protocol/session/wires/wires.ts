// All wires of a session: what opens, closes and changes, and what follows for the lanes.

import type { WireKind } from "../../payload";
import { Deadline, type Deadlines } from "../deadlines";
import type { Lanes } from "../lanes";
import type { Outgoing } from "../sender";
import { Choice, End, type News } from "./ends";
import { WireState } from "./policy";

export class Wires {
  /** The open ones, by id. */
  readonly ends = new Map<number, End>();
  readonly news: News[] = [];
  readonly choice: Choice;
  private opened = 0;

  /** @param prefer kinds, best first */
  constructor(
    prefer: readonly WireKind[],
    private readonly lanes: Lanes,
    private readonly deadlines: Deadlines,
  ) {
    this.choice = new Choice(this.ends, prefer, lanes.flight);
  }

  get greeted(): End[] {
    return [...this.ends.values()].filter((end) => end.isGreeted);
  }

  open(wire: number, kind: WireKind, now: number, wasDialled: boolean): End {
    this.opened++;
    const end = new End(wire, kind, now, wasDialled, this.opened);
    this.ends.set(wire, end);
    return end;
  }

  /** A wire is gone: what it may have lost is sent again on another. */
  close(wire: number): void {
    const end = this.ends.get(wire);
    if (end === undefined) {
      return;
    }
    this.ends.delete(wire);
    this.lanes.park(-end.parkedBytes);
    this.choice.drop(end);
    this.lanes.wireLost(wire);
    this.choose();
  }

  /** It belongs to a process that is no more. */
  refuse(end: End): void {
    this.close(end.id);
    this.news.push({ kind: "refused", wire: end.id });
  }

  /** Something says that this wire may be dead: any other one is better until it answers. */
  doubt(wire: number, now: number): void {
    const end = this.ends.get(wire);
    if (end?.isGreeted) {
      const before = end.state;
      end.heart.doubt(now);
      this.deadlines.hasten(Deadline.HEARTBEAT, end.heart.due);
      this.note(end, before);
    }
  }

  private choose(): void {
    this.choice.again();
    // What waits for it may have another way now.
    this.deadlines.set(Deadline.RETRANSMIT, -Infinity);
  }

  /** Acts on a change of state, if it is one. */
  note(end: End, before: WireState): void {
    if (end.state === before) {
      return;
    }
    this.news.push({ kind: "changed", wire: end.id, state: end.state });
    this.choose();
    if (end.state !== WireState.READY && end !== this.choice.active) {
      this.lanes.wireLost(end.id);
    }
  }

  /** Messages go over this wire. */
  busy(end: End, now: number): void {
    if (end.heart.busy(now)) {
      this.deadlines.hasten(Deadline.HEARTBEAT, end.heart.due);
    }
  }

  /** A frame that was sent once is known to have arrived: the wire that carried it works. */
  proved(frame: Outgoing, now: number): void {
    const end = this.ends.get(frame.wire);
    if (end === undefined) {
      return;
    }
    end.heart.sample(now - frame.at);
    const before = end.state;
    if (end.heart.missed === 0 && before === WireState.READY) {
      end.heart.proofAt = now;
      return;
    }
    end.heart.alive(now);
    this.note(end, before);
    this.choice.briskAgain();
  }

  onPing(end: End, number: number, now: number): void {
    end.asked(number, now);
    this.deadlines.putOff(Deadline.HEARTBEAT, this.choice.pulseDue);
  }

  onPong(end: End, number: number, now: number): void {
    const { state, heart } = end;
    const { isTrusted, missed } = heart;
    heart.pong(number, now);
    this.deadlines.putOff(Deadline.HEARTBEAT, this.choice.pulseDue);
    this.note(end, state);
    if (missed > 0) {
      this.choice.briskAgain();
    }
    if (end.state === WireState.SUSPECT) {
      this.choose(); // it recovers: better than one that does not
    }
    if (heart.isTrusted && !isTrusted) {
      this.choose();
      this.news.push({ kind: "changed", wire: end.id, state: end.state });
    }
  }

  /** Pings where it is time; returns when it is next. */
  ping(now: number): number {
    for (const end of this.greeted) {
      const before = end.state;
      if (end.ping(now) && end.heart.missed > 0) {
        this.choice.briskAgain();
      }
      this.note(end, before);
    }
    if (this.deadlines.at[Deadline.RETRANSMIT] !== Infinity) {
      // Round trips measured since then say anew.
      this.deadlines.hasten(Deadline.RETRANSMIT, now);
    }
    return this.choice.pulseDue;
  }

  /** Every wire is to carry acknowledgements of these lanes, given as bits. */
  owe(lanes: number): void {
    for (const end of this.greeted) {
      end.owed |= lanes;
    }
  }
}
