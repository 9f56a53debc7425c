// Bundles each test file to build/ and runs them all: `node tools/test.mjs [part of a name]`.
// With `--bench` in place of a name: what measures, and judges nothing; with `--pictures`: what makes
// the pictures of docs/.
import { readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "node:test";
import { tap } from "node:test/reporters";
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
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --enable-source-maps`;
process.chdir(here);
// Two files at a time: those with a browser wait most of their time. What measures is alone.
const ran = run({ files: made, concurrency: kind === "bench" ? 1 : 2 });
const counts = {};
const failures = []; // said once more at the end, a line each, where who reads only that finds them
ran.on("test:fail", ({ name, file, details }) => {
  const { failureType, cause, message } = details.error ?? {};
  if (failureType !== "subtestsFailed") {
    const where = /.*\btests\/(.*)\.\w+$/.exec(file ?? "")?.[1]; // of its source or of what was built
    const why = String(cause?.message ?? message).split("\n")[0].slice(0, 200);
    failures.push(`FAILED ${where}: ${name} - ${why}`);
  }
});
ran.on("test:diagnostic", ({ nesting, message }) => {
  const [, what, count] = /^(\w+) ([\d.]+)$/.exec(message) ?? [];
  if (nesting === 0 && what !== undefined) {
    counts[what] = Number(count);
  }
});
for await (const text of ran.compose(tap)) {
  process.stdout.write(text);
}
for (const line of failures) {
  console.log(line);
}
const failed = counts.fail + counts.cancelled;
const seconds = Math.round(counts.duration_ms / 1000);
console.log(`browser-test: ${counts.tests} tests, ${failed} failed, ${counts.skipped} skipped, ${seconds} s`);
process.exitCode = failed === 0 ? 0 : 1; // also where nobody has counted
