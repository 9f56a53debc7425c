// One side of a simulated session: what it sends, what it hears, and what of that is kept.

import {
  isRpc,
  MAX_WIRE_MESSAGE_BYTES,
  PayloadType,
  type RpcLane,
  WIRE_MESSAGE_BYTES,
  WireKind,
} from "../../../src/protocol/payload";
import { FIRST_REPLY_LANE } from "../../../src/protocol/session/frames";
import { HELD_BYTES } from "../../../src/protocol/session/holding";
import { type Delivery, UNNUMBERED } from "../../../src/protocol/session/receiver";
import { WINDOW_FRAMES } from "../../../src/protocol/session/sender";
import { Session } from "../../../src/protocol/session/session";
import { WireState } from "../../../src/protocol/session/wires/policy";
import type { World } from "./sim";
import type { Strand } from "./strand";

export const KINDS = [WireKind.WEBRTC, WireKind.WEBSOCKET];
export const STREAM = PayloadType.STREAM_RELIABLE;
export const LATENCY = PayloadType.STREAM_LATENCY_FIRST;

/** The promise of a lane was broken. */
export class BreachError extends Error {}

/** What a message says: who sent it, when in its lane. */
interface Body {
  readonly side: number;
  readonly incarnation: number;
  readonly lane: number;
  readonly number: number;
}

function write({ side, incarnation, lane, number }: Body, size: number): Uint8Array {
  const text = Buffer.from(`${side} ${incarnation} ${lane} ${number} `);
  const bytes = new Uint8Array(Math.max(size, text.length)).fill(120);
  bytes.set(text);
  return bytes;
}

function read(message: Uint8Array): Body {
  const text = Buffer.from(message.subarray(0, 64)).toString("latin1");
  const [side, incarnation, lane, number] = text.split(" ").map(Number);
  return { side: side!, incarnation: incarnation!, lane: lane!, number: number! };
}

/** One process and its successors: each has a session; what is stored survives. */
export class Host {
  incarnation = 0;
  session!: Session;
  wires = new Map<number, Strand>();
  /** Messages accepted, by own incarnation and lane. */
  readonly accepted = new Map<string, number>();
  /** The first message that no reset has dropped, likewise. */
  readonly keptFrom = new Map<string, number>();
  /** Numbers stored, by sender's incarnation and lane, in order of the first storing. */
  readonly stored = new Map<string, number[]>();
  /** Numbers delivered, by own incarnation, sender's incarnation and lane. */
  readonly heard = new Map<string, number[]>();

  constructor(
    readonly world: World,
    readonly side: number,
  ) {
    this.start();
  }

  /** A new process. */
  start(): void {
    this.incarnation++;
    this.wires = new Map();
    this.session = new Session(BigInt(this.side * 1_000_000 + this.incarnation), { prefer: KINDS });
  }

  get far(): Host {
    return this.world.hosts[1 - this.side]!;
  }

  // Upper layer

  send(lane: number, size: number): boolean {
    const { lanes } = this.session;
    const sender =
      lane >= FIRST_REPLY_LANE
        ? lanes.replySender((lane - FIRST_REPLY_LANE) as RpcLane)
        : lanes.senders[lane]!;
    if (lane !== LATENCY && !sender.hasRoom(size)) {
      return false;
    }
    const key = `${this.incarnation} ${lane}`;
    const number = this.accepted.get(key) ?? 0;
    this.accepted.set(key, number + 1);
    const message = write({ side: this.side, incarnation: this.incarnation, lane, number }, size);
    if (lane === LATENCY) {
      lanes.latencySender.accept(message, this.world.now);
    } else {
      sender.accept(message);
    }
    this.flush();
    return true;
  }

  private deliver({ payloadType, message, number }: Delivery): void {
    const body = read(message);
    const lane = isRpc(payloadType) && number === UNNUMBERED ? payloadType + 4 : payloadType;
    const what = `${body.number} of lane ${body.lane}`;
    if (body.lane !== lane || body.side === this.side) {
      throw new BreachError(`${what} came on ${lane}`);
    }
    const heard = list(this.heard, `${this.incarnation} ${body.incarnation} ${lane}`);
    const last = heard.at(-1) ?? -1;
    if (lane === LATENCY) {
      if (heard.includes(body.number)) {
        throw new BreachError(`${what} came twice`);
      }
    } else if (body.number <= last) {
      throw new BreachError(`${what} after ${last}: doubled or out of order`);
    } else if (!isRpc(lane) && heard.length > 0 && body.number !== last + 1) {
      throw new BreachError(`${what} after ${last}: lost`);
    }
    heard.push(body.number);
    if (isRpc(lane)) {
      const { incarnation } = this;
      const delay = this.world.random.choice([0, 0, 0, 0, 0.001, 0.01, 0.05, 0.5]);
      this.world.at(delay, () => this.store(incarnation, body, lane, number));
    }
  }

  /** What an inbox does: keep it if it is new, then acknowledge; lost by a crash before. */
  private store(incarnation: number, body: Body, lane: RpcLane, number: number): void {
    if (incarnation !== this.incarnation) {
      return;
    }
    const stored = list(this.stored, `${body.incarnation} ${lane}`);
    if (!stored.includes(body.number)) {
      stored.push(body.number);
    }
    this.session.lanes.acknowledge(lane, number, this.world.now);
    this.flush();
  }

  // Session

  receive(wire: number, channel: number, data: Uint8Array): void {
    const deliveries = this.session.receive(wire, channel, data, this.world.now);
    this.hear();
    for (const delivery of deliveries) {
      this.deliver(delivery);
    }
    this.checkBounds();
    this.flush();
  }

  private hear(): void {
    for (const item of this.session.news.splice(0)) {
      if (item.kind === "refused" || (item.kind === "changed" && item.state === WireState.FAILED)) {
        const strand = this.wires.get(item.wire);
        this.wires.delete(item.wire);
        this.session.close(item.wire);
        strand?.kill();
      } else if (item.kind === "restarted") {
        for (const lane of [STREAM, LATENCY]) {
          const key = `${this.incarnation} ${lane}`;
          this.keptFrom.set(key, this.accepted.get(key) ?? 0);
        }
      }
    }
  }

  flush(): void {
    this.hear();
    const { world, session } = this;
    for (const [wire, strand] of [...this.wires]) {
      for (;;) {
        // Now and then it is slow, and takes short ones only.
        const size = world.random.next() < 0.1 ? WIRE_MESSAGE_BYTES : MAX_WIRE_MESSAGE_BYTES[strand.kind];
        const item = session.take(wire, world.now, strand.isFull, size);
        if (item === null) {
          break;
        }
        strand.carry(this.side, item.channel, item.data);
      }
    }
    world.wake(this);
  }

  tick(): void {
    if (this.session.due <= this.world.now) {
      this.session.tick(this.world.now);
      this.flush();
    }
  }

  private checkBounds(): void {
    const { lanes } = this.session;
    if (lanes.heldBytes > HELD_BYTES) {
      throw new BreachError(`${lanes.heldBytes} bytes held`);
    }
    if (lanes.receivers.some((receiver) => receiver.held.size > WINDOW_FRAMES)) {
      throw new BreachError("frames held back");
    }
    if (lanes.senders.some((sender) => sender.frames.size > 2 * WINDOW_FRAMES)) {
      throw new BreachError("frames kept");
    }
  }
}

function list(map: Map<string, number[]>, key: string): number[] {
  const found = map.get(key) ?? [];
  map.set(key, found);
  return found;
}
