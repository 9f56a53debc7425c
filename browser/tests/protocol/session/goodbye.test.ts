// An idle link ends while messages are on their way: each is heard once.

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { WireKind } from "../../../src/protocol/payload";
import { ByeReason } from "../../../src/protocol/session/frames";
import { Session } from "../../../src/protocol/session/session";
import type { WireMessage } from "../../../src/protocol/session/wires/ends";

const KINDS = [WireKind.WEBRTC, WireKind.WEBSOCKET];
const WIRES = [1, 2];

/** `near` asks and sends; `far` agrees whenever it holds nothing, and is deaf then. */
class Talk {
  private readonly near = new Session(111n, { prefer: KINDS });
  private far = new Session(222n, { prefer: KINDS });
  /** What is on its way, by side and wire. */
  private lines = new Map<string, WireMessage[]>();
  sent = 0;
  readonly heard: number[] = [];
  isDeaf = false;
  isRenewed = false;

  constructor() {
    this.join();
  }

  private join(): void {
    this.lines = new Map();
    WIRES.forEach((wire, index) => {
      this.near.open(wire, KINDS[index]!, 0, true);
      this.far.open(wire, KINDS[index]!, 0, false);
    });
    this.settle();
  }

  settle(): void {
    for (let round = 0; round < 6; round++) {
      this.flush();
      for (const wire of WIRES) {
        for (const to of ["far", "near"]) {
          while (this.arrive(to, wire)) {}
        }
      }
    }
  }

  flush(): void {
    for (const wire of WIRES) {
      for (const [to, session] of [["far", this.near], ["near", this.far]] as const) {
        const line = this.line(to, wire);
        for (let item; (item = session.take(wire, 1, false)) !== null; ) {
          line.push(item);
        }
      }
    }
  }

  private line(to: string, wire: number): WireMessage[] {
    const key = `${to} ${wire}`;
    const line = this.lines.get(key) ?? [];
    this.lines.set(key, line);
    return line;
  }

  arrive(to: string, wire: number): boolean {
    const item = this.line(to, wire).shift();
    if (item === undefined) {
      return false;
    }
    const session = to === "far" ? this.far : this.near;
    for (const { message } of session.receive(wire, item.channel, item.data, 1)) {
      this.heard.push(Number(Buffer.from(message).toString()));
    }
    for (const news of session.news.splice(0)) {
      if (news.kind !== "left") {
        continue;
      }
      if (news.reason === ByeReason.IDLE && to === "far") {
        this.agree();
      } else if (news.reason === ByeReason.CLOSED && to === "near" && !this.isRenewed) {
        this.renew();
      }
    }
    return true;
  }

  send(): void {
    this.near.lanes.senders[2]!.accept(Buffer.from(String(this.sent++)));
  }

  ask(): void {
    this.near.leave(1, ByeReason.IDLE);
  }

  private agree(): void {
    const { lanes } = this.far;
    if (this.isDeaf || !lanes.isEmpty || !lanes.isSettled) {
      return;
    }
    this.isDeaf = true;
    WIRES.forEach((wire) => this.far.leave(wire, ByeReason.CLOSED));
    this.flush();
    WIRES.forEach((wire) => this.far.close(wire));
  }

  renew(): void {
    this.isRenewed = true;
    this.near.renew(112n);
    this.far = new Session(223n, { prefer: KINDS });
    this.join();
  }
}

const DEED = fc.constantFrom("send", "send", "ask", "flush", "far 1", "far 2", "far 2", "near 1", "near 2");

test("each message is heard once though the link closes around it", () => {
  fc.assert(
    fc.property(fc.array(DEED, { maxLength: 40 }), (deeds) => {
      const talk = new Talk();
      for (const deed of deeds) {
        const [name, wire] = deed.split(" ");
        if (name === "send" || name === "ask" || name === "flush") {
          talk[name]();
        } else {
          talk.arrive(name!, Number(wire));
        }
      }
      talk.settle();
      if (talk.isDeaf && !talk.isRenewed) {
        talk.renew(); // its goodbye went by a wire that it knew no more
      }
      talk.settle();
      assert.deepEqual(talk.heard, Array.from({ length: talk.sent }, (_, number) => number));
    }),
    { numRuns: 200 },
  );
});
