import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { RemoteProtocolError } from "../../../src/errors";
import { ActrId } from "../../../src/protocol/identity/ids";
import { CHANNELS } from "../../../src/protocol/webrtc/channels";
import type { Action, Input, Role, State } from "../../../src/protocol/webrtc/negotiation";
import { Negotiation, roleOf, TABLES } from "../../../src/protocol/webrtc/negotiation";

const ROLES: Role[] = ["offerer", "answerer"];
const STATES = ["stable", "waiting", "waiting again"] as const;
const INPUTS: Input[] = ["changed", "request", "offer", "answer", "overdue"];

test("a pair is in the table, or a violation that changes nothing", () => {
  for (const role of ROLES) {
    for (const state of STATES) {
      for (const input of INPUTS) {
        const machine = new Negotiation(role);
        machine.state = state;
        machine.exchange = 4;
        const exchange = role === "answerer" ? 5 : 4;
        if (TABLES[role][state][input] !== undefined) {
          machine.handle(input, exchange);
        } else {
          assert.throws(() => machine.handle(input, exchange), RemoteProtocolError);
          assert.deepEqual([machine.state, machine.exchange], [state, 4]);
        }
      }
    }
  }
});

test("closing is possible everywhere and final", () => {
  for (const role of ROLES) {
    for (const state of [...STATES, "closed"] as State[]) {
      const machine = new Negotiation(role);
      machine.state = state;
      machine.handle("close");
      assert.equal(machine.state, "closed");
      assert.ok([...INPUTS, "close" as const].every((input) => machine.handle(input).length === 0));
    }
  }
});

test("the smaller id offers, whoever asked", () => {
  const [small, large] = [ActrId.parse("a:b@10:r"), ActrId.parse("a:b@2:r")];
  assert.equal(roleOf(small, large), "offerer");
  assert.equal(roleOf(large, small), "answerer");
});

test("an answer to an old exchange is dropped, to one never made it is the far side's fault", () => {
  const machine = new Negotiation("offerer");
  machine.handle("changed");
  assert.throws(() => machine.handle("answer", 2), RemoteProtocolError);
  machine.handle("overdue");
  assert.equal(machine.exchange, 2);
  assert.deepEqual(machine.handle("answer", 1), []);
  assert.equal(machine.state, "waiting");
  assert.deepEqual(machine.handle("answer", 2), ["apply answer"]);
  assert.deepEqual(machine.handle("answer", 2), []);
});

test("a repeated offer is answered once", () => {
  const machine = new Negotiation("answerer");
  assert.deepEqual(machine.handle("offer", 1), ["apply and answer"]);
  assert.deepEqual(machine.handle("offer", 1), []);
  assert.deepEqual(machine.handle("offer", 3), ["apply and answer"]);
});

const SENDS: Partial<Record<Action, Input>> = {
  "send offer": "offer",
  "send request": "request",
  "apply and answer": "answer",
};

/** A message between the two: what it is, its number, and which change of its sender it describes. */
type Mail = [Input, number, number];

/** Both ends, and the mail between them. */
class Pair {
  readonly ends = [new Negotiation("offerer"), new Negotiation("answerer")] as const;
  readonly mail: Mail[][] = [[], []];
  /** The last change at each end, and of each end the last that the other has applied. */
  readonly changes = [0, 0] as [number, number];
  readonly applied = [0, 0] as [number, number];

  feed(who: 0 | 1): void {
    this.changes[who] += 1;
    this.#take(who, "changed");
  }

  #take(who: 0 | 1, input: Input, exchange = 0, described = 0): void {
    const end = this.ends[who];
    for (const action of end.handle(input, exchange)) {
      if (action.startsWith("apply")) {
        this.applied[1 - who] = described;
      }
      const sends = SENDS[action];
      if (sends !== undefined) {
        this.mail[1 - who]!.push([sends, end.exchange, this.changes[who]]);
      }
    }
  }

  deliver(who: 0 | 1): void {
    const [next] = this.mail[who]!.splice(0, 1);
    if (next !== undefined) {
      this.#take(who, ...next);
    }
  }

  lose(who: 0 | 1): void {
    this.mail[who]!.splice(0, 1);
  }

  /** As the shell's: what waits while nothing is under way is overdue. */
  timer(): void {
    if (this.mail.every((waiting) => waiting.length === 0)) {
      for (const who of [0, 1] as const) {
        if (this.ends[who].state !== "stable") {
          this.#take(who, "overdue");
        }
      }
    }
  }
}

test("two ends always settle on their last changes, whatever the interleaving and loss", () => {
  const verb = fc.constantFrom("feed" as const, "deliver" as const, "lose" as const);
  const script = fc.array(fc.tuple(verb, fc.constantFrom<0 | 1>(0, 1)), { maxLength: 60 });
  fc.assert(
    fc.property(script, (steps) => {
      const pair = new Pair();
      for (const [verb, who] of steps) {
        pair[verb](who);
      }
      for (let round = 0; round < 200; round++) {
        pair.timer();
        pair.deliver(0);
        pair.deliver(1);
      }
      assert.deepEqual(pair.ends.map((end) => end.state), ["stable", "stable"]);
      assert.equal(pair.ends[1].exchange, pair.ends[0].exchange);
      assert.deepEqual(pair.applied, pair.changes, "a change was forgotten");
    }),
  );
});

test("the channels are those of the document", () => {
  const reliable = { negotiated: true, protocol: "actr/1", ordered: true };
  assert.deepEqual(CHANNELS, [
    { label: "RPC_RELIABLE", init: { ...reliable, id: 0 } },
    { label: "RPC_SIGNAL", init: { ...reliable, id: 1 } },
    { label: "STREAM_RELIABLE", init: { ...reliable, id: 2 } },
    { label: "STREAM_LATENCY_FIRST", init: { ...reliable, id: 3, ordered: false, maxPacketLifeTime: 100 } },
  ]);
});
