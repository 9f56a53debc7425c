// The page of docs/browser.md, as it stands there: bundled against the built package, typed by the
// strictest compiler, and run against the room of the README.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, test } from "node:test";

import { build, stop } from "esbuild";

import { python, Service, skip as noPython } from "../kit/services";

const FOLDER = resolve("build/page");
const skip = noPython || (existsSync("dist/types/index.d.ts") ? false : "no dist/: npm run build");

/** The first block of a document in this language. */
function block(document: string, language: string): string {
  const found = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(readFileSync(resolve("..", document), "utf8"));
  assert.ok(found, `no ${language} in ${document}`);
  return found[1]!;
}

/** The folder of a user who has followed the page, with what npm would have installed. */
function follow(url: string): void {
  rmSync(FOLDER, { recursive: true, force: true });
  const packages = join(FOLDER, "node_modules");
  mkdirSync(join(packages, "actr"), { recursive: true });
  const { files } = JSON.parse(readFileSync("package.json", "utf8"));
  copyFileSync("package.json", join(packages, "actr", "package.json"));
  for (const name of files) {
    cpSync(name, join(packages, "actr", name), { recursive: true });
  }
  symlinkSync(resolve("node_modules/@bufbuild"), join(packages, "@bufbuild"));
  symlinkSync(resolve("node_modules/.bin"), join(packages, ".bin"));
  writeFileSync(join(FOLDER, "room.proto"), block("README.md", "protobuf"));
  writeFileSync(join(FOLDER, "room.py"), block("README.md", "python"));
  const page = block("docs/browser.md", "ts");
  assert.ok(page.includes("ws://127.0.0.1:8080/v1/ws"));
  writeFileSync(join(FOLDER, "page.ts"), page.replace("ws://127.0.0.1:8080/v1/ws", url));
  for (const lang of ["python", "ts"]) {
    const gen = ["-m", "actr_peer", "gen", "--lang", lang, "room.proto"];
    execFileSync(resolve(python), gen, { cwd: FOLDER, stdio: ["ignore", "ignore", "inherit"] });
  }
}

function typed(module: string, moduleResolution: string): void {
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", module, moduleResolution, lib: ["es2022", "dom"], types: [] };
  writeFileSync(join(FOLDER, "package.json"), '{ "type": "module" }');
  writeFileSync(join(FOLDER, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["page.ts"] }));
  const ran = spawnSync(resolve("node_modules/.bin/tsc"), ["-p", FOLDER], { encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout);
}

test("a page of under 15 lines makes a typed call", { skip, timeout: 120_000 }, async () => {
  const lines = [block("docs/browser.md", "ts"), block("docs/browser.md", "html")].join("").trim().split("\n");
  assert.ok(lines.filter((line) => line.trim() !== "").length < 15, `${lines.length} lines`);

  const signaling = await Service.signaling();
  after(() => signaling.stop());
  follow(signaling.url);
  const what = ["room:Room", "--json", "--id", "chat:room@1:default", "--mailbox", ""];
  const where = ["--signaling", signaling.url, "--listen", "127.0.0.1:0"];
  const room = await Service.start(["-m", "actr_peer", "run", ...what, ...where], {}, FOLDER);
  after(() => room.stop());

  typed("esnext", "bundler");
  typed("nodenext", "nodenext");
  const outfile = join(FOLDER, "page.mjs");
  await build({ absWorkingDir: FOLDER, entryPoints: ["page.ts"], bundle: true, format: "esm", outfile, logLevel: "error" });
  await stop();
  // In a process of its own: a page stays online until it is left.
  writeFileSync(join(FOLDER, "run.mjs"), RUN);
  const ran = spawnSync(process.execPath, ["run.mjs"], { cwd: FOLDER, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual([ran.stderr, ran.stdout], ["", "line 1 ann: hello"]);
});

const RUN = `
import { createRequire } from "node:module";
const { WebSocket } = createRequire(${JSON.stringify(resolve("package.json"))})("ws");
const body = { append: (text) => process.stdout.write(text) };
Object.assign(globalThis, { WebSocket, document: { body } });
await import("./page.mjs");
process.exit(0);
`;
