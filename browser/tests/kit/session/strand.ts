// One simulated wire, which delays, loses, repeats and dies.

import type { WireKind } from "../../../src/protocol/payload";
import type { World } from "./sim";

/**
 * One wire between the two processes of the moment. Messages of one channel keep their order;
 * channels, and wires, overtake each other.
 */
export class Strand {
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
