// What `actr gen --lang ts` writes is taken by the strictest compiler, and misuse of it is not.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

import { python, skip } from "../kit/services";

const GOLDEN = resolve("../services/peer/tests/golden");
const OUT = resolve("build/golden");

function gen(...args: string[]) {
  return spawnSync(resolve(python), ["-m", "actr_peer", "gen", "--lang", "ts", ...args], { encoding: "utf8" });
}

function tsc(folder: string) {
  const options = { rootDir: resolve("."), paths: { actr: ["../../src/index.ts"], "actr/protobuf": ["../../src/codec.ts"] } };
  const config = { extends: "../../tsconfig.json", compilerOptions: options, include: ["."] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  return spawnSync(resolve("node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" });
}

test("the generated golden file passes tsc --strict, and each misuse is found", { skip, timeout: 60_000 }, () => {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  const protos = readdirSync(GOLDEN, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".proto"));
  const made = gen("-I", GOLDEN, "--out", OUT, ...protos.map((name) => join(GOLDEN, name)));
  assert.equal(made.status, 0, made.stderr);
  const written = readFileSync(join(OUT, "everything_actr.ts"), "utf8");
  assert.equal(written, readFileSync(join(GOLDEN, "everything_actr.ts"), "utf8"));
  const right = tsc(OUT);
  assert.equal(right.status, 0, right.stdout);

  writeFileSync(join(OUT, "misuse.ts"), MISUSE);
  const wrong = tsc(OUT);
  const found = new Set([...wrong.stdout.matchAll(/misuse\.ts\((\d+),/g)].map(([, line]) => Number(line)));
  const marked = MISUSE.split("\n").flatMap((line, at) => (line.endsWith("// wrong") ? [at + 1] : []));
  assert.deepEqual([...found].sort((one, other) => one - other), marked, wrong.stdout);
});

const MISUSE = `
import type { Caller } from "actr";
import { AllClient, type AllHandlers, AllService, serveAll } from "./everything_actr.js";
export async function use(caller: Caller, handlers: AllHandlers) {
  const all = new AllClient(caller);
  const { room, children } = await all.sayHTTP({ room: "a", children: [{ room: "b" }] }, { timeout: 2 });
  for await (const empty of all.replies({ seconds: 1n })) {
    empty.$typeName satisfies "google.protobuf.Empty";
  }
  await all.sayHTTP({ room: 1 }); // wrong
  await all.sayHTTP({ chamber: "a" }); // wrong
  await all.sayHTTP({}, { timeout: "2" }); // wrong
  await all.requests({ room: "a" }); // wrong
  await all.replies({}); // right: a promise is not needed
  for await (const each of all.nested({ id: "a" })) { console.log(each); } // wrong
  await all.tell(AllService.NESTED, { id: "a" });
  await all.tell(AllService.REPLIES, {}); // wrong
  serveAll({ ...handlers, nested: () => ({ text: "a" }) });
  serveAll({ ...handlers, nested: () => ({ text: 1 }) }); // wrong
  serveAll({ nested: handlers.nested }); // wrong
  return room + String(children.length);
}
`;

test("a contract that TypeScript cannot have is refused with its place, and nothing is written", { skip }, () => {
  const folder = resolve("build/refused");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const text = 'syntax = "proto3";\nmessage A {}\nservice B {\n  rpc Then(A) returns (A);\n}\n';
  writeFileSync(join(folder, "b.proto"), text);
  const made = gen("-I", folder, "--out", join(folder, "out"), join(folder, "b.proto"));
  assert.equal(made.status, 2);
  assert.match(made.stderr, /b\.proto:4: service B, method Then: its name in TypeScript: 'then' would have an object/);
  assert.deepEqual(readdirSync(folder), ["b.proto"]);
});
