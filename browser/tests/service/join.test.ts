// What `join` gives lasts as long as the actor is online: clients over links that end, links that are
// looked after, and nothing that is left behind. Signaling is a real one; wires are in this process.

import assert from "node:assert/strict";
import { after, before, mock, test, type TestContext } from "node:test";

import { WebSocket } from "ws";

import { ClosedError } from "../../src/errors";
import { join, type Joined, type JoinOptions } from "../../src/join";
import { route } from "../../src/service";
import type { PeerConnectionClass } from "../../src/wire/webrtc/peer";
import type { SocketClass } from "../../src/wire/socket";
import { LIST, pause, SAY, text, type Text, until } from "../kit/contract";
import { Service, skip } from "../kit/services";
import { FakePeer } from "../kit/webrtc/peers";

const socket = WebSocket as unknown as SocketClass;
const timeout = 60_000;
const FAR = "acme:far@1:default";
const serve = [
  route(SAY, (request: Text) => request),
  route(LIST, async function* (request: Text) {
    yield request;
  }),
];

let signaling: Service;
before(async () => {
  if (!skip) {
    signaling = await Service.signaling();
  }
});
after(() => signaling?.stop());

/** An actor, and the connections that it has made. */
async function online(t: TestContext, id: string, options: JoinOptions = {}): Promise<Joined & { made: FakePeer[] }> {
  const made: FakePeer[] = [];
  class Kept extends FakePeer {
    constructor() {
      super();
      made.push(this);
    }
  }
  const connection = Kept as unknown as PeerConnectionClass;
  const joined = await join(signaling.url, id, { socket, connection, ...options });
  t.after(() => joined.close());
  return Object.assign(joined, { made });
}

test("one client calls over all links that there are, before and after each other", { skip, timeout }, async (t) => {
  const near = await online(t, "acme:near@1:default");
  const client = near.to(FAR);
  const list = async () => (await client.serverStream(LIST, text("listed")).next()).value?.value;
  await assert.rejects(client.unary(SAY, text("early"), { timeout: 0.5 }));
  for (let times = 0; times < 2; times++) {
    const far = await online(t, FAR, { serve });
    assert.equal((await client.unary(SAY, text("here"), { timeout: 20 })).value, "here");
    assert.equal(await list(), "listed");
    await far.close();
    await assert.rejects(client.unary(SAY, text("gone"), { timeout: 0.5 }));
  }
  await near.close();
  await assert.rejects(client.unary(SAY, text("late")), ClosedError);
  await assert.rejects(list(), ClosedError);
  await assert.rejects(client.tell(SAY, text("late")), ClosedError);
});

test("a page that goes away has left signaling before its links have said all", { skip, timeout }, async (t) => {
  const near = await online(t, "acme:near@9:default");
  const far = await online(t, "acme:far@9:default", { serve });
  await near.to("acme:far@9:default").unary(SAY, text("one"), { timeout: 20 });
  const closing = near.close();
  assert.equal(near.signaling.state, "closed");
  await closing;
  await far.close();
});

test("a link whose far side is gone without a word does not outlast its wires", { skip, timeout }, async (t) => {
  mock.timers.enable({ apis: ["setInterval"] });
  t.after(() => mock.timers.reset());
  const near = await online(t, "acme:near@2:default");
  const client = near.to("acme:far@2:default");
  const far = await online(t, "acme:far@2:default", { serve });
  await client.unary(SAY, text("one"), { timeout: 20 });
  await far.signaling.close();
  for (const peer of far.made) {
    peer.channels.clear(); // deaf at once
    peer.close();
  }
  // Nobody is there to dial: tries are used up, and then the link is spent.
  const waits = client.unary(SAY, text("lost"), { timeout: 50 });
  const ends = assert.rejects(waits, /all wires to acme:far@2:default have failed/);
  let isOver = false;
  void ends.finally(() => (isOver = true)).catch(() => {});
  while (!isOver) {
    mock.timers.tick(10_000);
    await pause(0.1);
  }
  await ends;
  await online(t, "acme:far@2:default", { serve });
  assert.equal((await client.unary(SAY, text("two"), { timeout: 20 })).value, "two");
});

test("a link in which nothing happens is closed, and made again for the next call", { skip, timeout }, async (t) => {
  mock.timers.enable({ apis: ["setInterval"] });
  const now = performance.now.bind(performance);
  t.after(() => {
    mock.timers.reset();
    performance.now = now;
  });
  const near = await online(t, "acme:near@3:default");
  await online(t, "acme:far@3:default", { serve });
  const open = () => near.made.filter((peer) => peer.connectionState !== "closed");
  const client = near.to("acme:far@3:default");
  await client.unary(SAY, text("one"), { timeout: 20 });
  await pause(0.2); // acknowledgements have come
  mock.timers.tick(10_000);
  await pause(0.2);
  assert.equal(open().length, 1, "too soon");
  performance.now = () => now() + 301_000;
  mock.timers.tick(10_000);
  await until(() => open().length === 0);
  assert.equal(open().length, 0);
  assert.equal((await client.unary(SAY, text("two"), { timeout: 20 })).value, "two");
  assert.equal(open().length, 1);
});

test("who closes leaves no connection behind, of those that are being made either", { skip, timeout }, async (t) => {
  const made: FakePeer[] = [];
  class Stuck extends FakePeer {
    constructor() {
      super();
      made.push(this);
    }

    override setRemoteDescription(): Promise<void> {
      return new Promise(() => {});
    }
  }
  const connection = Stuck as unknown as PeerConnectionClass;
  const near = await online(t, "acme:near@4:default", { connection });
  const far = await online(t, "acme:far@4:default");
  // The smaller id makes the offer: `near` has a connection of which no link knows yet.
  const calling = assert.rejects(far.to("acme:near@4:default").unary(SAY, text("one")));
  await until(() => made.length > 0);
  await near.close();
  assert.ok(made.length > 0 && made.every(({ connectionState }) => connectionState === "closed"));
  await far.close();
  await calling;
});

test("who listens to signaling may be of a class", { skip, timeout }, async (t) => {
  class Ear {
    readonly heard: string[] = [];
    #count = 0;

    state(state: string): void {
      this.#count++;
      this.heard.push(state);
    }

    greeted(): void {
      this.heard.push(`greeted after ${this.#count}`);
    }
  }
  const sink = new Ear();
  const near = await online(t, "acme:near@5:default", { sink });
  await near.close();
  assert.ok(sink.heard.some((each) => each.startsWith("greeted")), String(sink.heard));
});
