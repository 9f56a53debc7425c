// Generated code against a real actor in Python: all four kinds of method, both ways, and contracts
// that are not the same on both sides.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path, resolve } from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { CallError, Code } from "../../src/errors";
import { join, type Joined } from "../../src/join";
import { WireKind } from "../../src/protocol/payload";
import { formOf } from "../../src/protocol/rpc/contracts";
import { type Method, type Route } from "../../src/service";
import type { SocketClass } from "../../src/wire/socket";
import { ChatClient, type ChatHandlers, ChatService, serveChat } from "../../demo/gen/actr/demo/chat_actr";
import { Service, skip } from "../kit/services";

const ROOM = "demo:room@1:default";
const VISITOR = "demo:visitor@1:default";
const socket = WebSocket as unknown as SocketClass;
const kinds = [WireKind.WEBSOCKET];

let signaling: Service;
const folder = mkdtempSync(path(tmpdir(), "actr-generated-"));
const started: Service[] = [];

before(async () => {
  if (!skip) {
    signaling = await Service.signaling();
    started.push(signaling);
    started.push(await Service.room(ROOM, signaling.url, folder));
  }
});
after(async () => {
  await Promise.all(started.map((service) => service.stop()));
  rmSync(folder, { recursive: true });
});

async function page(instance: string, serve: Route[] = []): Promise<Joined> {
  return join(signaling.url, `acme:page@${instance}:default`, { socket, kinds, serve });
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) {
    found.push(item);
  }
  return found;
}

/** What keeps a service's row from being the callee's: another form, and so another number. */
function changed<M extends Method>(method: M, from: string, to: string): M {
  const form = method.form!.replace(from, to);
  assert.notEqual(form, method.form);
  const other = { ...method, form };
  const number = createHash("sha256").update(formOf(other)).digest().readBigUInt64BE();
  return { ...other, contract: number };
}

test("a number of each row is the number of its form", () => {
  const rows = Object.values(ChatService).filter((row) => typeof row === "object");
  assert.equal(rows.length, 7);
  for (const row of rows) {
    const hash = createHash("sha256").update(formOf(row)).digest();
    assert.equal(hash.readBigUInt64BE(), row.contract, row.routeKey);
  }
  assert.equal(createHash("sha256").update(ChatService.SAY.form).digest("hex"), ChatService.FINGERPRINT);
});

test("a generated client calls a Python actor, all four kinds", { skip, timeout: 60_000 }, async () => {
  const me = await page("client");
  const chat = new ChatClient(me.to(ROOM));
  assert.ok((await chat.say({ author: "page", text: "hello" })).number > 0n);
  assert.deepEqual((await chat.history({})).messages.map(({ text }) => text), ["hello"]);
  assert.equal((await chat.kick({ who: "page" })).wasPresent, true);
  const lines = await all(chat.messages({ testLines: 3, textBytes: 2 }));
  assert.deepEqual(lines.map(({ number, text }) => [number, text]), [1n, 2n, 3n].map((number) => [number, "xx"]));

  const data = new Uint8Array(100_000).map((_, at) => at % 251);
  async function* pieces() {
    yield { piece: { case: "header" as const, value: { name: "f", sizeBytes: BigInt(data.length) } } };
    for (let at = 0; at < data.length; at += 20_000) {
      yield { piece: { case: "data" as const, value: data.subarray(at, at + 20_000) } };
    }
  }
  assert.equal((await chat.upload(pieces())).sha256, createHash("sha256").update(data).digest("hex"));
  async function* moves() {
    yield* [{ x: 1 }, { x: 2 }, { x: 3 }];
  }
  assert.deepEqual((await all(chat.cursors(moves()))).map(({ x }) => x), [1, 2, 3]);
  await chat.tell(ChatService.SAY, { author: "page", text: "told" });
  assert.deepEqual((await chat.history({ limit: 1 })).messages.map(({ text }) => text), ["told"]);
  await me.close();
});

/** Serves the chat; `report` settles with what the visitor told it. */
function room() {
  let told!: (report: any) => void;
  const report = new Promise<any>((done) => (told = done));
  const handlers: ChatHandlers = {
    say({ author, text }) {
      if (author === "report") {
        told(JSON.parse(text));
      }
      return { number: BigInt(text.length) };
    },
    history() {
      throw new CallError(Code.NOT_FOUND, "there is none");
    },
    kick: async ({ who }) => ({ wasPresent: who === "v" }),
    async *messages({ testLines }) {
      for (let number = 0; number < testLines; number++) {
        yield { number: BigInt(number), text: `line ${number}` };
      }
    },
    async upload(pieces) {
      const hash = createHash("sha256");
      for await (const { piece } of pieces) {
        hash.update(piece.case === "data" ? piece.value : "");
      }
      return { sha256: hash.digest("hex") };
    },
    async *presence(_, context) {
      yield { who: context.caller, present: true };
    },
    async *cursors(moves) {
      for await (const { x } of moves) {
        yield { x: x * 2 };
      }
    },
  };
  return { serve: serveChat(handlers), report };
}

/** What a visitor has seen of a page, and the services that the page is registered with. */
async function visited(instance: string, serve: Route[], report: Promise<any>) {
  const env = { PYTHONPATH: [resolve("tests/kit"), process.env["PYTHONPATH"]].filter(Boolean).join(":") };
  const what = ["visitor:Visitor", "--json", "--id", VISITOR.replace("1", instance), "--mailbox", ""];
  const where = ["--signaling", signaling.url, "--listen", "127.0.0.1:0"];
  const visitor = await Service.start(["-m", "actr_peer", "run", ...what, ...where], env, folder);
  started.push(visitor);
  const me = await page(instance, serve);
  await new ChatClient(me.to(VISITOR.replace("1", instance))).say({ author: "page", text: "come" });
  const told = await report;
  const [found] = await me.signaling.discover({ actrType: "acme:page" });
  assert.equal(found?.id.text, me.id.text);
  await me.close();
  return { seen: told, services: [...found!.services] };
}

const SEEN = {
  said: 4,
  kicked: true,
  listed: ["line 0", "line 1", "line 2"],
  uploaded: true,
  moved: [0, 2, 4],
  refused: "NOT_FOUND there is none",
};

test("generated handlers serve a Python actor, all four kinds", { skip, timeout: 60_000 }, async () => {
  const { serve, report } = room();
  const { seen, services } = await visited("serves", serve, report);
  assert.deepEqual(services, [["demo.Chat", ChatService.FINGERPRINT]]);
  assert.deepEqual(seen, { ...SEEN, present: [VISITOR.replace("1", "serves")] });
});

const ADDED = ['[2,"text","single","string",null]', '[2,"text","single","string",null],[9,"mood","single","string",null]'] as const;
const MOVED = ['[2,"x","single","float",null]', '[2,"across","single","float",null]'] as const;
const RETYPED = ['[1,"author","single","string",null],[2,"text"', '[1,"author","single","uint32",null],[2,"text"'] as const;

test("a Python actor's calls of another contract are served where both understand each other, and refused where not", { skip, timeout: 60_000 }, async () => {
  const { serve, report } = room();
  const changes: Record<string, readonly [string, string]> = {
    "demo.Chat.Say": ADDED,
    "demo.Chat.Messages": ADDED,
    "demo.Chat.Upload": ['"sha256"', '"sum"'],
    "demo.Chat.Cursors": MOVED,
    "demo.Chat.History": ['[1,"limit","single","uint32",null]', '[1,"limit","single","string",null]'],
  };
  const other = serve.map(({ method, handle }) => {
    const change = changes[method.routeKey];
    return { method: change === undefined ? method : changed(method, ...change), handle };
  });
  const { seen } = await visited("differs", other, report);
  const refused =
    "FAILED_PRECONDITION demo.Chat.History has another contract at acme:page@differs:default: field 1 of " +
    "demo.HistoryRequest is uint32 limit on one side and string limit on the other; generate both sides " +
    "from one .proto (actr describe, actr proto check)";
  assert.deepEqual(seen, { ...SEEN, refused, present: [VISITOR.replace("1", "differs")] });
});

test("a page's call of another contract is made where both understand each other, and refused where not", { skip, timeout: 60_000 }, async () => {
  const me = await page("compares");
  const caller = me.to(ROOM);
  const say = changed(ChatService.SAY, ...ADDED);
  assert.ok((await caller.unary(say, { author: "page", text: "added" })).number > 0n);
  assert.ok((await caller.unary(say, { author: "page", text: "again" })).number > 0n);
  const list = changed(ChatService.MESSAGES, ...ADDED);
  assert.equal((await all(caller.serverStream(list, { testLines: 2 }))).length, 2);
  const move = changed(ChatService.CURSORS, ...MOVED);
  async function* moves() {
    yield* [{ x: 1 }, { x: 2 }];
  }
  assert.equal((await all(caller.bidiStream(move, moves()))).length, 2);
  const upload = changed(ChatService.UPLOAD, '"sha256"', '"sum"');
  async function* pieces() {
    yield { piece: { case: "header" as const, value: { name: "f", sizeBytes: 1n } } };
    yield { piece: { case: "data" as const, value: Uint8Array.of(7) } };
  }
  assert.equal((await caller.clientStream(upload, pieces())).sizeBytes, 1n);

  const breaking = changed(ChatService.SAY, ...RETYPED);
  for (let times = 0; times < 2; times++) {
    await assert.rejects(caller.unary(breaking, { author: "page", text: "retyped" }), (error) => {
      assert.ok(error instanceof CallError && error.code === Code.FAILED_PRECONDITION, String(error));
      assert.match(error.text, /demo\.Chat\.Say has another contract at demo:room@1:default: field 1 of demo\.SayRequest is uint32 author on one side and string author on the other/);
      return true;
    });
  }
  const kind = changed(ChatService.KICK, '"RPC_SIGNAL"', '"RPC_RELIABLE"');
  await assert.rejects(caller.unary(kind, { who: "x" }), /it is RPC_SIGNAL there and RPC_RELIABLE here/);
  const { messages } = await new ChatClient(caller).history({});
  assert.ok(!messages.some(({ text }) => text === "retyped"), "a refused call has run");
  await me.close();
});
