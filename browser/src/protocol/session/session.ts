// One lane session, above all wires between two process incarnations (docs/protocol.md).
//
// Bytes and instants in; deliveries, news and bytes out:
//
//     receive(wire, channel, data, now) -> deliveries      take(wire, now, ...) -> channel, data
//     tick(now), when `due` has come                       news: what the owner must hear
//
// Wires are known by their ids: what an unknown or replaced one says is not heard.

import { RemoteProtocolError } from "../../errors";
import { concat } from "../bytes";
import { MAX_MESSAGE_BYTES, WIRE_MESSAGE_BYTES, type WireKind } from "../payload";
import { type Account, Budget } from "./budget";
import { Deadline, Deadlines } from "./deadlines";
import {
  ByeReason,
  decode,
  encodeAsk,
  encodeBye,
  encodeHello,
  type Frame,
  type Hello,
  Kind,
} from "./frames";
import { ALL_RELIABLE, Lanes } from "./lanes";
import type { Delivery } from "./receiver";
import { CONTROL, type End, HELLO_EVERY, type News, RTO_MIN, type WireMessage } from "./wires/ends";
import { Wires } from "./wires/wires";

/** In one wire message; a peer has no use for more than one of each lane. */
export const MAX_ACKS = 32;
/** Incarnations of the far side remembered as gone. */
const MAX_RETIRED = 16;
/** Seconds from one look at a deadline to the next at least. */
const TICK = 0.001;

export interface SessionOptions {
  /** Kinds of wires, best first. */
  readonly prefer: readonly WireKind[];
  /** Longest message taken from the far side. */
  readonly maxMessageBytes?: number;
  /** That this session shares with others; its own where there is none. */
  readonly budget?: Budget;
}

/** One side's half. */
export class Session {
  /** Of the far side; 0 until it is known. */
  remoteIncarnation = 0n;
  remoteMaxBytes = MAX_MESSAGE_BYTES;
  readonly deadlines = new Deadlines();
  /** What is held here for the far side, as the process counts it. */
  readonly account: Account;
  readonly lanes: Lanes;
  private readonly maxMessageBytes: number;
  private readonly wires: Wires;
  private readonly retired: bigint[] = [];
  /** Number, in order of opening, of the wire that told of the present far side. */
  private adoptedOn = 0;

  /** @param incarnation of this end: random for each start of a process, and for each session */
  constructor(
    public incarnation: bigint,
    options: SessionOptions,
  ) {
    this.maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    this.account = (options.budget ?? new Budget()).open();
    this.lanes = new Lanes(this.maxMessageBytes, this.account, this.deadlines);
    this.wires = new Wires(options.prefer, this.lanes, this.deadlines);
  }

  /** When `tick` is next needed. */
  get due(): number {
    return this.deadlines.next;
  }

  /** The wire that new frames take. */
  get active(): End | null {
    return this.wires.choice.active;
  }

  /** Open wires by id. */
  get ends(): ReadonlyMap<number, End> {
    return this.wires.ends;
  }

  get news(): News[] {
    return this.wires.news;
  }

  // Wires

  /** A wire is open; its first message is the HELLO. */
  open(wire: number, kind: WireKind, now: number, wasDialled: boolean): void {
    this.sendHello(this.wires.open(wire, kind, now, wasDialled), now);
  }

  /** A wire is gone: what it may have lost is sent again on another. */
  close(wire: number): void {
    this.wires.close(wire);
  }

  /** Something says that this wire may be dead: any other one is better until it answers. */
  doubt(wire: number, now: number): void {
    this.wires.doubt(wire, now);
  }

  /**
   * Says goodbye on one wire; `take` gives it as all else. The last word about the lanes goes before
   * CLOSED: the far side knows what has been taken here, and gives the rest to another session.
   */
  leave(wire: number, reason: ByeReason): void {
    const end = this.ends.get(wire);
    if (end !== undefined) {
      const isLast = reason === ByeReason.CLOSED && end.isGreeted;
      const acks = this.lanes.acksOf(isLast ? ALL_RELIABLE : 0);
      end.say(concat([...acks, encodeBye(reason)]));
    }
  }

  // In

  /**
   * Takes one wire message; returns what it delivers, in order. Look at `news` first. Throws
   * `RemoteProtocolError` if the far side breaks the protocol, `LimitError` if it breaks a bound: the
   * session is over then.
   */
  receive(wire: number, channel: number, data: Uint8Array, now: number): Delivery[] {
    const out: Delivery[] = [];
    const end = this.ends.get(wire);
    if (end === undefined) {
      return out;
    }
    const isHello = data[0] === Kind.HELLO;
    if (end.isGreeted) {
      if (data.length > end.maxMessageBytes) {
        throw new RemoteProtocolError(`a wire message of ${data.length} bytes`);
      }
      this.read(end, channel, data, now, out);
      end.isHeard ||= !isHello;
    } else if (isHello && data.length <= WIRE_MESSAGE_BYTES) {
      this.read(end, channel, data, now, out);
      if (end.isGreeted) {
        this.lanes.park(-end.parkedBytes);
        const parked = end.unpark();
        end.isHeard = parked.length > 0;
        for (const old of parked) {
          this.read(end, old.channel, old.data, now, out);
        }
      }
    } else {
      this.lanes.park(end.park(channel, data));
    }
    return out;
  }

  private read(end: End, channel: number, data: Uint8Array, now: number, out: Delivery[]): void {
    const { lanes } = this;
    const before = out.length;
    let acks = 0;
    for (const frame of decode(data)) {
      if (frame.kind === Kind.DATA || frame.kind === Kind.REPLY) {
        lanes.receive(channel, frame, now, out);
      } else if (frame.kind === Kind.ACK) {
        acks++;
        if (acks > MAX_ACKS) {
          throw new RemoteProtocolError(`over ${MAX_ACKS} ACKs in one wire message`);
        }
        const sample = lanes.onAck(frame, now);
        if (sample !== null) {
          this.wires.proved(sample, now);
        }
      } else {
        this.onControl(end, frame, now);
      }
    }
    lanes.afterReceive(channel);
    if (lanes.wasRepeated) {
      lanes.wasRepeated = false;
      this.wires.owe(lanes.takeNews());
    }
    if (out.length > before) {
      this.wires.busy(end, now);
    }
  }

  /** Takes word about the wire; of the other kinds the caller keeps all. */
  private onControl(end: End, frame: Frame, now: number): void {
    end.countWord(now);
    switch (frame.kind) {
      case Kind.HELLO:
        this.greet(end, frame, now);
        break;
      case Kind.PING:
        this.wires.onPing(end, frame.number, now);
        break;
      case Kind.PONG:
        this.wires.onPong(end, frame.number, now);
        break;
      case Kind.ASK:
        end.ask(frame.lane, now);
        break;
      case Kind.BYE:
        this.onBye(end.id, frame.reason);
        break;
    }
  }

  private onBye(wire: number, reason: ByeReason): void {
    const wasSaid = this.news.some(
      (item) => item.kind === "left" && item.wire === wire && item.reason === reason,
    );
    if (!wasSaid) {
      this.news.push({ kind: "left", wire, reason }); // saying it twice is saying it once
    }
  }

  // Greeting

  private sendHello(end: End, now: number): void {
    end.say(
      encodeHello({
        incarnation: this.incarnation,
        known: this.remoteIncarnation,
        received: this.lanes.received,
        maxMessageBytes: this.maxMessageBytes,
      }),
    );
    end.helloAt = now + HELLO_EVERY;
    this.deadlines.hasten(Deadline.HELLO, end.helloAt);
  }

  private greet(end: End, hello: Hello, now: number): void {
    if (hello.incarnation !== this.remoteIncarnation) {
      if (end.isGreeted) {
        throw new RemoteProtocolError("two incarnations on one wire");
      }
      // A wire older than the one that told of the present process cannot tell of a later one; an
      // incarnation that has been replaced does not come back.
      if (this.retired.includes(hello.incarnation) || end.order < this.adoptedOn) {
        this.wires.refuse(end);
        return;
      }
      this.adopt(end, hello.incarnation);
    }
    if (hello.known === this.incarnation) {
      this.lanes.onHello(hello.received, now);
    }
    if (end.isGreeted) {
      return;
    }
    this.remoteMaxBytes = hello.maxMessageBytes;
    const before = end.state;
    end.greet(now);
    this.deadlines.hasten(Deadline.HEARTBEAT, end.heart.due);
    end.owed = ALL_RELIABLE;
    this.wires.note(end, before);
  }

  /** Begins with a process that was not known. */
  private adopt(end: End, incarnation: bigint): void {
    const previous = this.remoteIncarnation;
    this.remoteIncarnation = incarnation;
    this.adoptedOn = end.order;
    if (previous === 0n) {
      return;
    }
    this.retire(previous);
    for (const other of this.wires.greeted) {
      this.wires.refuse(other); // the others' own HELLO will tell whose they are
    }
    this.news.push({ kind: "restarted", lastDelivered: this.lanes.restart() });
  }

  private retire(incarnation: bigint): void {
    this.retired.push(incarnation);
    this.retired.splice(0, this.retired.length - MAX_RETIRED);
  }

  /**
   * The far side has forgotten the session, and said before what it had taken: begins another one,
   * of this incarnation, with the rest of what has been accepted here.
   */
  renew(incarnation: bigint): void {
    this.incarnation = incarnation;
    this.retire(this.remoteIncarnation);
    this.remoteIncarnation = 0n;
    for (const end of [...this.ends.values()]) {
      this.wires.refuse(end);
    }
    this.lanes.restart(true);
  }

  // Out

  /**
   * The next message for this wire, or null; it counts as sent. Lanes have strict priority by rank;
   * frames of one lane are packed together.
   *
   * @param wire id of an open one
   * @param isFull whether it takes no more bulk now; control and signals still go
   * @param size bytes up to which frames are packed together
   */
  take(wire: number, now: number, isFull: boolean, size = WIRE_MESSAGE_BYTES): WireMessage | null {
    const end = this.ends.get(wire);
    if (end === undefined) {
      return null;
    }
    if (end.hasControl) {
      return end.takeControl(this.lanes);
    }
    if (!end.isGreeted) {
      return null;
    }
    const { active, brisk } = this.wires.choice;
    const isActive = end === active;
    const isBrisk = end === brisk;
    if (isActive || isBrisk || this.lanes.hasRepeats) {
      const packed = this.lanes.pack(wire, now, size, { isActive, isBrisk, isFull });
      if (packed !== null) {
        if (isActive && this.deadlines.at[Deadline.ACK] !== Infinity) {
          packed.parts.push(...this.lanes.acks());
        }
        this.deadlines.hasten(Deadline.RETRANSMIT, now + RTO_MIN);
        this.wires.busy(end, now);
        return { channel: packed.lane, data: concat(packed.parts) };
      }
    }
    const acks = isActive && this.lanes.isAckUrgent ? this.lanes.acks() : [];
    return acks.length > 0 ? { channel: CONTROL, data: concat(acks) } : null;
  }

  // Time

  /** Does what time asks for. Look at `news`, then `take`. */
  tick(now: number): void {
    for (const name of this.deadlines.take(now)) {
      this.deadlines.hasten(name, Math.max(this.onTime(name, now), now + TICK));
    }
    this.lanes.recount();
  }

  /** Does what a deadline asks for; returns when it is needed again, Infinity: not by itself. */
  private onTime(name: Deadline, now: number): number {
    switch (name) {
      case Deadline.HELLO:
        return this.greetAgain(now);
      case Deadline.HEARTBEAT:
        return this.wires.ping(now);
      case Deadline.ACK:
        this.sayNews();
        return Infinity;
      case Deadline.RETRANSMIT:
        return this.sendAgain(now);
      case Deadline.EXPIRY:
        return this.lanes.expire(now);
    }
  }

  /** Word of what has come is to go out now, on every wire. */
  sayNews(): void {
    this.wires.owe(this.lanes.takeNews());
  }

  private greetAgain(now: number): number {
    const unheard = [...this.ends.values()].filter((end) => !end.isHeard);
    for (const end of unheard) {
      const before = end.state;
      if (end.helloAt <= now) {
        this.sendHello(end, now);
      }
      end.judge(now);
      this.wires.note(end, before);
    }
    return Math.min(...unheard.map((end) => end.helloDue));
  }

  private sendAgain(now: number): number {
    const timings = this.wires.choice.timings(now);
    const [asks, due] = this.lanes.sendAgain(now, timings);
    if (asks.length > 0) {
      for (const wire of timings.keys()) {
        this.ends.get(wire)!.say(concat(asks.map(encodeAsk)));
      }
    }
    return due;
  }
}
