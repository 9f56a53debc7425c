// Two sessions joined by wires that delay, drop, repeat, reorder and die, in simulated time.
//
// Every message accepted and every one delivered is recorded; `World.check` compares. There is no
// event loop: the world is a list of things to happen.

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
import { Random } from "../random";

export const KINDS = [WireKind.WEBRTC, WireKind.WEBSOCKET];
const STREAM = PayloadType.STREAM_RELIABLE;
const LATENCY = PayloadType.STREAM_LATENCY_FIRST;
const RELIABLE = [0, 1, 2, 4, 5];
const ALL = [0, 1, 2, 3, 4, 5];

/** The promise of a lane was broken. */
export class BreachError extends Error {}

/** One thing that the scenario does; the numbers mean what `World.do` makes of them. */
export interface Action {
  readonly name: string;
  readonly side: number;
  readonly value: number;
  /** Seconds that pass afterwards. */
  readonly wait: number;
}

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
class Host {
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

/**
 * One wire between the two processes of the moment. Messages of one channel keep their order;
 * channels, and wires, overtake each other.
 */
class Strand {
  delay = 0.01;
  /** Of what each side sends. */
  loss = [0, 0];
  repeat = 0;
  fullUntil = 0;
  isDead = false;
  /** When the last message of a side and channel arrives. */
  private readonly arrives = new Map<string, number>();

  constructor(
    readonly world: World,
    readonly kind: WireKind,
    readonly ids: readonly number[],
    readonly incarnations: readonly number[],
  ) {}

  get isFull(): boolean {
    return this.world.now < this.fullUntil;
  }

  carry(side: number, channel: number, data: Uint8Array): void {
    const { random, now } = this.world;
    if (this.isDead || random.next() < this.loss[side]!) {
      return;
    }
    const copies = random.next() < this.repeat ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const key = `${side} ${channel}`;
      const at = Math.max(this.arrives.get(key) ?? 0, now + this.delay * (0.5 + random.next()));
      this.arrives.set(key, at);
      this.world.at(at - now, () => this.arrive(1 - side, channel, data));
    }
  }

  private arrive(side: number, channel: number, data: Uint8Array): void {
    const { random } = this.world;
    if (!this.isDead) {
      this.reach(side, channel, data);
    } else if (random.next() < 0.7) {
      // It is still in some buffer.
      this.world.at(random.choice([0, 0.1, 0.5, 2]), () => this.reach(side, channel, data));
    }
  }

  private reach(side: number, channel: number, data: Uint8Array): void {
    const host = this.world.hosts[side]!;
    if (host.incarnation === this.incarnations[side]) {
      host.receive(this.ids[side]!, channel, data);
    }
  }

  /** Breaks; each side is told later, or finds out. */
  kill(): void {
    if (this.isDead) {
      return;
    }
    this.isDead = true;
    for (const side of [0, 1]) {
      this.world.at(this.world.random.choice([0, 0.05, 1, 20]), () => this.tell(side));
    }
  }

  private tell(side: number): void {
    const host = this.world.hosts[side]!;
    if (host.incarnation === this.incarnations[side]) {
      host.wires.delete(this.ids[side]!);
      host.session.close(this.ids[side]!);
      host.flush();
    }
  }
}

/** Two hosts, their wires, and the time. */
export class World {
  now = 100;
  readonly random: Random;
  readonly hosts: readonly Host[];
  private readonly strands: Strand[] = [];
  private readonly events: { at: number; order: number; action: () => void }[] = [];
  private readonly wakes = [Infinity, Infinity];
  private order = 0;
  private lastId = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.hosts = [new Host(this, 0), new Host(this, 1)];
  }

  at(delay: number, action: () => void): void {
    const at = this.now + delay;
    const event = { at, order: this.order++, action };
    // Kept in order, the next last: most are soon.
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[middle]!.at > at) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.events.splice(low, 0, event);
  }

  /** Has the host's session ticked when it is due. */
  wake(host: Host): void {
    const due = Math.max(host.session.due, this.now);
    if (due === Infinity || this.wakes[host.side]! <= due) {
      return;
    }
    this.wakes[host.side] = due;
    this.at(due - this.now, () => {
      if (this.wakes[host.side] === due) {
        this.wakes[host.side] = Infinity;
      }
      host.tick();
      this.wake(host);
    });
  }

  run(seconds: number): void {
    const end = this.now + seconds;
    for (let next = this.events.at(-1); next && next.at <= end; next = this.events.at(-1)) {
      this.events.pop();
      this.now = Math.max(this.now, next.at);
      next.action();
    }
    this.now = end;
  }

  // Scenario

  do({ name, side, value, wait }: Action): void {
    const host = this.hosts[side]!;
    const alive = this.strands.filter((strand) => !strand.isDead);
    const strand = alive[value % alive.length];
    switch (name) {
      case "send":
        for (let count = 0; count <= value % 7; count++) {
          host.send(ALL[value % ALL.length]!, [10, 50, 1000, 30_000, 200_000][value % 5]!);
        }
        break;
      case "flood":
        while (host.send(RELIABLE[value % RELIABLE.length]!, [100, 5_000, 400_000][value % 3]!)) {}
        break;
      case "open":
        if (alive.length < 4) {
          this.open(KINDS[value % 2]!);
        }
        break;
      case "kill":
        strand?.kill();
        break;
      case "vary":
        if (strand !== undefined) {
          this.vary(strand);
        }
        break;
      case "restart":
        this.restart(host);
        break;
    }
    this.run(wait);
  }

  open(kind: WireKind): void {
    const ids = [++this.lastId, ++this.lastId];
    const strand = new Strand(this, kind, ids, this.hosts.map((host) => host.incarnation));
    this.strands.push(strand);
    for (const side of [0, 1]) {
      this.at(this.random.choice([0, 0.02, 0.4]), () => this.born(strand, side));
    }
  }

  private born(strand: Strand, side: number): void {
    const host = this.hosts[side]!;
    if (host.incarnation === strand.incarnations[side] && !strand.isDead) {
      host.wires.set(strand.ids[side]!, strand);
      host.session.open(strand.ids[side]!, strand.kind, this.now, side === 0);
      host.flush();
    }
  }

  private vary(strand: Strand): void {
    const { random } = this;
    strand.delay = random.choice([0.0005, 0.01, 0.1, 0.4]);
    strand.loss = [random.choice([0, 0.1, 0.5, 1]), random.choice([0, 0.1, 0.5, 1])];
    strand.repeat = random.choice([0, 0.3]);
    strand.fullUntil = this.now + random.choice([0, 0, 0.5]);
  }

  private restart(host: Host): void {
    host.start();
    for (const strand of this.strands) {
      if (strand.incarnations[host.side] !== host.incarnation) {
        strand.kill();
      }
    }
    if (this.random.next() < 0.7) {
      this.open(WireKind.WEBSOCKET);
    }
  }

  /** Heals what is left, and gives it time. */
  settle(): void {
    for (const strand of this.strands) {
      strand.loss = [0, 0];
      strand.repeat = strand.fullUntil = 0;
      strand.delay = 0.01;
    }
    for (const host of this.hosts) {
      host.send(PayloadType.RPC_RELIABLE, 20);
    }
    for (let round = 0; round < 4; round++) {
      this.open(WireKind.WEBSOCKET);
      this.run(40);
    }
  }

  // Verdict

  check(): void {
    for (const host of this.hosts) {
      this.checkLanes(host);
      const { lanes } = host.session;
      if (!lanes.isEmpty || !lanes.isSettled) {
        throw new BreachError(`side ${host.side} is not empty`);
      }
      const held = lanes.senders.flatMap((sender) => [sender.heldBytes, sender.flightBytes]);
      if (held.some(Boolean) || lanes.heldBytes > 0 || lanes.latencySender.heldBytes > 0) {
        throw new BreachError(`side ${host.side} holds ${held}`);
      }
    }
  }

  private checkLanes(host: Host): void {
    const { far } = host;
    for (const [key, accepted] of host.accepted) {
      const [incarnation, lane] = key.split(" ").map(Number) as [number, number];
      if (incarnation !== host.incarnation || lane === LATENCY) {
        continue;
      }
      let got: readonly number[];
      let first = 0;
      if (isRpc(lane)) {
        got = far.stored.get(key) ?? [];
      } else if (lane === STREAM) {
        first = host.keptFrom.get(key) ?? 0;
        got = far.heard.get(`${far.incarnation} ${key}`) ?? [];
      } else {
        got = [...far.heard].flatMap(([at, numbers]) => (at.endsWith(` ${key}`) ? numbers : []));
      }
      const wanted = Array.from({ length: accepted - first }, (_, index) => first + index);
      const found = [...new Set(got)].sort((a, b) => a - b);
      if (String(found) !== String(wanted)) {
        throw new BreachError(`lane ${lane}: of ${wanted} came ${found}`);
      }
    }
  }
}

/** Runs a scenario to its end and checks it. */
export function play(actions: readonly Action[], seed: number): World {
  const world = new World(seed);
  world.open(WireKind.WEBRTC);
  world.open(WireKind.WEBSOCKET);
  for (const action of actions) {
    world.do(action);
  }
  world.settle();
  world.check();
  return world;
}

const NAMES = ["send", "send", "send", "send", "send", "send", "open", "kill", "vary", "vary"];

/** A scenario without a strategy. */
export function someActions(seed: number, length = 60): Action[] {
  const random = new Random(seed);
  return Array.from({ length }, () => {
    const dice = random.next();
    return {
      name: dice < 0.02 ? "flood" : dice < 0.06 ? "restart" : random.choice(NAMES),
      side: random.below(2),
      value: random.below(1000),
      wait: random.choice([0, 0, 0.005, 0.03, 0.3, 1]),
    };
  });
}
