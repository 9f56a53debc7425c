// Two sessions by script, as `proto/vectors/sessions.json` has them: what each side says and
// delivers is compared to the byte, so nothing in a session may rest on chance or on a clock of its
// own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isRpc, PayloadType, type RpcLane, WireKind } from "../../../src/protocol/payload";
import { FIRST_REPLY_LANE } from "../../../src/protocol/session/frames";
import { UNNUMBERED } from "../../../src/protocol/session/receiver";
import { Session } from "../../../src/protocol/session/session";
import { hex, unhex, type Vector, vectors } from "../../kit/vectors";

/** One session, its wires, and what it has delivered. */
class Side {
  readonly session: Session;
  private readonly numbers = new Map<number, number[]>();

  constructor(incarnation: string) {
    this.session = new Session(BigInt(`0x${incarnation}`), { prefer: Object.values(WireKind) });
  }

  /** Does what the step says; returns what is delivered: lane and message of each. */
  do(step: Vector): [number, string][] {
    const { session } = this;
    const now = step.at / 1000;
    switch (step.do) {
      case "open":
        session.open(step.wire, step.kind, now, step.dialled);
        return [];
      case "close":
        session.close(step.wire);
        return [];
      case "send":
        this.send(step.lane, unhex(step.message), now);
        return [];
      case "store":
        session.lanes.acknowledge(step.lane, this.numbers.get(step.lane)![step.index]!, now);
        return [];
      case "receive":
        return this.receive(step, now);
      case "tick":
        session.tick(now);
        return [];
    }
    throw new Error(step.do);
  }

  private send(lane: number, message: Uint8Array, now: number): void {
    const { lanes } = this.session;
    if (lane >= FIRST_REPLY_LANE) {
      lanes.replySender((lane - FIRST_REPLY_LANE) as RpcLane).accept(message);
    } else if (lane === PayloadType.STREAM_LATENCY_FIRST) {
      lanes.latencySender.accept(message, now);
    } else {
      lanes.senders[lane]!.accept(message);
    }
  }

  private receive(step: Vector, now: number): [number, string][] {
    const delivered = this.session.receive(step.wire, step.channel, unhex(step.hex), now);
    return delivered.map(({ payloadType, message, number }) => {
      const isReply = number === UNNUMBERED && isRpc(payloadType);
      const lane = payloadType + (isReply ? FIRST_REPLY_LANE : 0);
      this.numbers.set(lane, [...(this.numbers.get(lane) ?? []), number]);
      return [lane, hex(message)];
    });
  }

  /** Wire, channel and bytes of each message that goes out now, in order. */
  said(now: number): [number, number, string][] {
    const out: [number, number, string][] = [];
    for (const wire of [...this.session.ends.keys()].sort((a, b) => a - b)) {
      for (let item; (item = this.session.take(wire, now, false)) !== null; ) {
        out.push([wire, item.channel, hex(item.data)]);
      }
    }
    return out;
  }
}

for (const name of ["request_and_reply", "lost_wire", "restart"]) {
  test(`both sides say and deliver what the script says: ${name}`, () => {
    const sides = new Map<string, Side>();
    for (const step of vectors("sessions", name)) {
      if (step.do === "begin") {
        sides.set(step.side, new Side(step.incarnation));
      }
      const side = sides.get(step.side)!;
      const delivered = step.do === "begin" ? [] : side.do(step);
      assert.deepEqual(delivered, step.delivered, step.why);
      assert.deepEqual(side.said(step.at / 1000), step.sent, step.why);
    }
  });
}
