// The lanes of one session, both halves of each (docs/protocol.md).
//
// Four carry the payload types that are bytes. Two more carry what answers RPC messages: replies,
// and word that a caller has left. Nothing of those waits to be stored, so they always move, also
// where the requests of both sides stand still (docs/decisions/0012).
//
// This is what is above all wires: numbers, windows, acknowledgements. Which wires there are, and
// which is in use, is the session's business.

import { RemoteProtocolError } from "../../errors";
import {
  type ByteLane,
  isRpc,
  LANES_BY_RANK,
  PayloadType,
  RELIABLE_LANES,
  RPC_LANES,
  type RpcLane,
  WIRE_MESSAGE_BYTES,
} from "../payload";
import type { Account } from "./budget";
import { Deadline, type Deadlines } from "./deadlines";
import {
  type Ack,
  BESIDE_BYTES,
  type Data,
  DATA_HEAD_BYTES,
  encodeAck,
  FIRST_REPLY_LANE,
  Kind,
  LATENCY_LANE,
  REPLY_FLAG,
} from "./frames";
import { Holding } from "./holding";
import { LatencyReceiver, LatencySender } from "./latency";
import { ACK_EVERY, type Delivery, Receiver } from "./receiver";
import { runOf } from "./runs";
import { type Outgoing, Sender, type Timing } from "./sender";
import { Flight } from "./wires/flight";

/** Bytes of a frame's own that a sender keeps beside its payload, about. */
const KEPT_COST = 400;
/** Of the senders by rank, those of signals and what answers them. */
const URGENT = 2;
/** The reliable lanes as bits. */
export const ALL_RELIABLE = 0b110111;

const LATENCY = PayloadType.STREAM_LATENCY_FIRST;

/** Where a reliable lane stands among the senders and the receivers. */
function slot(lane: number): number {
  return lane < LATENCY_LANE ? lane : lane - 1;
}

/** One wire message of a lane, in parts. */
export interface Packed {
  readonly lane: ByteLane;
  readonly parts: Uint8Array[];
}

/** Senders and receivers of all lanes. */
export class Lanes {
  /** How much bulk may be under way, over the active wire. */
  readonly flight = new Flight();
  /** Of the reliable lanes of payload types, by these, and then of the reply lanes: see `slot`. */
  readonly senders: readonly Sender[];
  readonly receivers: readonly Receiver[];
  readonly latencySender: LatencySender;
  readonly latencyReceiver: LatencyReceiver;
  /** So much has come that word should go out in this turn. */
  isAckUrgent = false;
  /** Something came twice: word got lost, so say it on every wire. */
  wasRepeated = false;
  /** The sender next in turn first; a lane's replies stand beside it. */
  private readonly byRank: [lane: ByteLane, sender: Sender | LatencySender][] = [];
  private readonly holding: Holding;

  /**
   * @param account what is held is counted there
   * @param deadlines of the session: word that must go out, and messages that become too old
   */
  constructor(
    maxMessageBytes: number,
    account: Account,
    private readonly deadlines: Deadlines,
  ) {
    this.senders = [
      ...RELIABLE_LANES.map((lane) => new Sender(0, this.flight, !isRpc(lane))),
      ...RPC_LANES.map(() => new Sender(REPLY_FLAG, this.flight, false)),
    ];
    this.receivers = [
      ...RELIABLE_LANES.map((lane) => new Receiver(lane, maxMessageBytes, isRpc(lane))),
      ...RPC_LANES.map((lane) => new Receiver(lane, maxMessageBytes, false, true)),
    ];
    this.latencySender = new LatencySender(deadlines);
    this.latencyReceiver = new LatencyReceiver(deadlines, maxMessageBytes);
    this.holding = new Holding(account, this.receivers, this.latencyReceiver);
    for (const lane of LANES_BY_RANK) {
      if (isRpc(lane)) {
        this.byRank.push([lane, this.replySender(lane)]);
      }
      this.byRank.push([lane, lane === LATENCY ? this.latencySender : this.sender(lane)]);
    }
  }

  /** Of a reliable lane. */
  sender(lane: Exclude<ByteLane, PayloadType.STREAM_LATENCY_FIRST>): Sender {
    return this.senders[lane]!;
  }

  /** Of what answers the messages of an RPC lane. */
  replySender(lane: RpcLane): Sender {
    return this.senders[slot(FIRST_REPLY_LANE + lane)]!;
  }

  /** Whether all that was accepted here is acknowledged, or dropped. */
  get isEmpty(): boolean {
    return this.senders.every((sender) => sender.isEmpty) && this.latencySender.isEmpty;
  }

  /** Whether nothing is held for the far side either. */
  get isSettled(): boolean {
    return this.receivers.every((receiver) => receiver.isEmpty) && this.latencyReceiver.isEmpty;
  }

  /** Bytes held for the far side. */
  get heldBytes(): number {
    return this.holding.bytes;
  }

  /** Bytes that wait here for acknowledgement, and what keeping them costs. */
  get postedBytes(): number {
    return this.senders.reduce((sum, each) => sum + each.heldBytes + KEPT_COST * each.frames.size, 0);
  }

  /** So much more, or less, has come by wires that are not greeted yet. */
  park(size: number): void {
    this.holding.park(size);
  }

  // In

  /**
   * Takes one DATA or REPLY frame; appends what it lets be delivered. Throws `RemoteProtocolError` if
   * the frame cannot be right, `LimitError` if it breaks a bound.
   */
  receive(channel: number, frame: Data, now: number, out: Delivery[]): void {
    if (frame.kind === Kind.REPLY && isRpc(channel)) {
      const receiver = this.receivers[slot(FIRST_REPLY_LANE + channel)]!;
      receiver.receive(frame, now, out);
      this.look(receiver);
    } else if (frame.kind === Kind.DATA && channel < LATENCY) {
      this.receivers[channel]!.receive(frame, now, out);
    } else if (frame.kind === Kind.DATA && channel === LATENCY) {
      this.latencyReceiver.receive(frame, now, out);
    } else {
      throw new RemoteProtocolError(`${Kind[frame.kind]} on channel ${channel}`);
    }
  }

  /** All frames of one wire message have been taken: see what there is to say. */
  afterReceive(channel: number): void {
    if (channel < LATENCY) {
      this.look(this.receivers[channel]!);
    } else if (this.holding.isAny || !this.latencyReceiver.isEmpty) {
      this.holding.count();
    }
  }

  private look(receiver: Receiver): void {
    if (receiver.hasNews) {
      this.weigh(receiver);
    }
    if (receiver.isHeavy) {
      this.holding.recount(receiver);
    }
  }

  private weigh(receiver: Receiver): void {
    if (receiver.ackAt < this.deadlines.at[Deadline.ACK]!) {
      this.deadlines.set(Deadline.ACK, receiver.ackAt);
    }
    this.isAckUrgent ||= receiver.pending >= ACK_EVERY;
    this.wasRepeated ||= receiver.wasRepeated;
    receiver.wasRepeated = false;
  }

  /**
   * The upper layer has stored the message delivered with `number`; returns whether to send word of
   * it now.
   */
  acknowledge(lane: RpcLane, number: number, now: number): boolean {
    const receiver = this.receivers[lane]!;
    receiver.acknowledge(number, now);
    this.look(receiver);
    return this.isAckUrgent;
  }

  /** Takes an ACK; returns a frame whose round trip it measures, if it does. */
  onAck(ack: Ack, now: number): Outgoing | null {
    return ack.lane === LATENCY_LANE ? null : this.senders[slot(ack.lane)]!.onAck(ack, now);
  }

  // What HELLO says

  get received(): number[] {
    const marks = this.receivers.map((receiver) => receiver.expected);
    marks.splice(LATENCY_LANE, 0, this.latencyReceiver.expected);
    return marks;
  }

  onHello(received: readonly number[], now: number): void {
    const marks = received.filter((_, lane) => lane !== LATENCY_LANE);
    this.senders.forEach((sender, index) => sender.onHello(marks[index]!, now));
  }

  /** The far side is a new process; returns the last numbers that the old one acknowledged. */
  restart(keepsStreams = false): Map<ByteLane, number> {
    const last = new Map<ByteLane, number>();
    for (const lane of RELIABLE_LANES) {
      last.set(lane, this.senders[lane]!.restart(keepsStreams || isRpc(lane)));
    }
    for (const lane of RPC_LANES) {
      this.replySender(lane).restart(true);
    }
    last.set(LATENCY, this.latencySender.restart());
    for (const receiver of this.receivers) {
      receiver.restart();
    }
    this.latencyReceiver.restart();
    this.deadlines.clear(Deadline.ACK);
    this.isAckUrgent = this.wasRepeated = false;
    this.holding.count();
    return last;
  }

  // Out

  /** ACK frames of the lanes that have news; they have none after this. */
  acks(): Uint8Array[] {
    return this.acksOf(this.takeNews());
  }

  /** The lanes that have news, as bits: the caller sees to it that the far side hears. */
  takeNews(): number {
    let lanes = 0;
    for (const receiver of this.receivers) {
      if (receiver.hasNews) {
        receiver.told();
        lanes |= 1 << receiver.lane;
      }
    }
    this.isAckUrgent = false;
    this.deadlines.clear(Deadline.ACK);
    return lanes;
  }

  /** ACK frames of these lanes, given as bits, as things stand now. */
  acksOf(lanes: number): Uint8Array[] {
    const told = this.receivers.filter((receiver) => lanes & (1 << receiver.lane));
    return told.map((receiver) => encodeAck(receiver.ack()));
  }

  /**
   * The first lane by rank that has something for this wire, and one wire message of it; or null.
   *
   * @param wire its id
   * @param size bytes of a wire message
   * @param isActive whether new frames of reliable lanes take it
   * @param isBrisk whether latency-first frames do
   * @param isFull whether it takes only what is urgent: behind bulk that it has, little waits
   */
  pack(
    wire: number,
    now: number,
    size: number,
    { isActive, isBrisk, isFull }: { isActive: boolean; isBrisk: boolean; isFull: boolean },
  ): Packed | null {
    const turns = isFull ? URGENT : this.byRank.length;
    for (let turn = 0; turn < turns; turn++) {
      const [lane, sender] = this.byRank[turn]!;
      const isMine = sender instanceof LatencySender ? isBrisk : isActive;
      if (!sender.hasWork(wire, isMine)) {
        continue;
      }
      const parts = fill(sender, wire, now, size, isMine);
      if (parts.length > 0) {
        if (turn === 0 || turn === 2) {
          this.hadTurn(turn);
        }
        return { lane, parts };
      }
    }
    return null;
  }

  /** Replies and requests of one rank take turns, so that neither starves the other. */
  private hadTurn(turn: number): void {
    const [first, second] = this.byRank.slice(turn);
    this.byRank.splice(turn, 2, second!, first!);
  }

  /** Whether any frame waits to be sent again. */
  get hasRepeats(): boolean {
    return this.senders.some((sender) => sender.repeats.size > 0);
  }

  /** What went over this wire and is not known to have arrived goes out again. */
  wireLost(wire: number): void {
    for (const sender of this.senders) {
      sender.wireLost(wire);
    }
  }

  // Time

  /** Drops what is too old; returns when to call again. */
  expire(now: number): number {
    this.latencySender.expire(now);
    this.latencyReceiver.expire(now);
    return Math.min(this.latencySender.due(), this.latencyReceiver.due(now));
  }

  /** Sees what is held for the far side, if anything is. Throws `LimitError` likewise. */
  recount(): void {
    if (this.holding.isAny) {
      this.holding.count();
    }
  }

  /**
   * Queues what is overdue. Returns the lanes to ASK about on every usable wire, and when to call
   * again.
   */
  sendAgain(now: number, timings: ReadonlyMap<number, Timing>): [asks: number[], due: number] {
    const asks: number[] = [];
    let due = Infinity;
    this.senders.forEach((sender, index) => {
      sender.repeatOverdue(now, timings);
      if (timings.size > 0 && sender.ask(now)) {
        asks.push(this.receivers[index]!.lane);
      }
      due = Math.min(due, sender.due(timings));
    });
    return [asks, due];
  }
}

/** Frames of one lane for one wire message; those that are given count as sent. */
function fill(
  sender: Sender | LatencySender,
  wire: number,
  now: number,
  size: number,
  isMine: boolean,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let room = size - BESIDE_BYTES;
  while (room > 0) {
    const frame = sender.take(wire, now, room, isMine);
    if (frame === null) {
      break;
    }
    let { head, data } = frame;
    if (head === null) {
      // Only reliable lanes have such; long wire messages take several fragments as one.
      const most = size > WIRE_MESSAGE_BYTES ? room : frame.size;
      [head, data] = runOf(sender as Sender, frame, most);
    }
    parts.push(head, data);
    room -= data.length + DATA_HEAD_BYTES;
  }
  return parts;
}
