// Two sessions joined by wires that delay, drop, repeat, reorder and die, in simulated time.
//
// Every message accepted and every one delivered is recorded; `World.check` compares. There is no
// event loop: the world is a list of things to happen.

import { isRpc, PayloadType, WireKind } from "../../../src/protocol/payload";
import { Random } from "../random";
import { BreachError, Host, KINDS, LATENCY, STREAM } from "./host";
import { Strand } from "./strand";

const RELIABLE = [0, 1, 2, 4, 5];
const ALL = [0, 1, 2, 3, 4, 5];

/** One thing that the scenario does; the numbers mean what `World.do` makes of them. */
export interface Action {
  readonly name: string;
  readonly side: number;
  readonly value: number;
  /** Seconds that pass afterwards. */
  readonly wait: number;
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
