// Bundles each test file to build/ and runs them all: `node tools/test.mjs [part of a name]`.
// With `--bench` in place of a name: what measures, and judges nothing; with `--pictures`: what makes
// the pictures of docs/.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = fileURLToPath(new URL("..", import.meta.url));
const kind = /^--(bench|pictures)$/.exec(process.argv[2] ?? "")?.[1] ?? "test";
const wanted = kind === "test" ? (process.argv[2] ?? "") : "";
const out = join(here, "build", "tests");

const tests = readdirSync(join(here, "tests"), { recursive: true })
  .filter((name) => name.endsWith(`.${kind}.ts`) && name.includes(wanted))
  .map((name) => join(here, "tests", name));
if (tests.length === 0) {
  throw new Error(`no test has ${JSON.stringify(wanted)} in its name`);
}
rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: tests,
  outdir: out,
  outbase: join(here, "tests"),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  packages: "external",
  format: "esm",
  splitting: true, // else a module that is also loaded late begins too late for who needs it at once
  target: "node20",
  sourcemap: "inline",
});
const made = tests.map((name) =>
  join(out, relative(join(here, "tests"), name).replace(/\.ts$/, ".mjs")),
);
const ran = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...made], {
  cwd: here,
  stdio: "inherit",
});
process.exit(ran.status ?? 1);
