// Builds the page of `actr demo --browser` into the peer's package, where it is committed: one script,
// its style, its document. `--check` says instead whether what is there is what the sources give.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = fileURLToPath(new URL("..", import.meta.url));
const source = join(here, "demo");
const built = join(here, "..", "services", "peer", "src", "actr_peer", "cli", "demo", "page", "built");

const made = await build({
  entryPoints: [join(source, "page.ts")],
  bundle: true,
  write: false,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  tsconfig: join(here, "tsconfig.json"),
});
const files = { "page.js": made.outputFiles[0].text };
for (const name of ["index.html", "page.css", "icon.svg"]) {
  files[name] = readFileSync(join(source, name), "utf8");
}

if (process.argv.includes("--check")) {
  const kept = new Set(readdirSync(built));
  for (const [name, text] of Object.entries(files)) {
    if (!kept.delete(name) || readFileSync(join(built, name), "utf8") !== text) {
      throw new Error(`${join(built, name)} is not what the sources give: npm run ship`);
    }
  }
  if (kept.size > 0) {
    throw new Error(`${built} has ${[...kept]}, which nothing makes: npm run ship`);
  }
} else {
  rmSync(built, { recursive: true, force: true });
  mkdirSync(built, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(built, name), text);
  }
}
