// Bundles src/index.ts to dist/actr.js, one file with its source map; says its size when packed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = fileURLToPath(new URL("..", import.meta.url));
const file = join(here, "dist", "actr.js");
await build({
  entryPoints: [join(here, "src", "index.ts")],
  outfile: file,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  sourcemap: true,
  legalComments: "none",
});
console.log(`${file}: ${(gzipSync(readFileSync(file), { level: 9 }).length / 1024).toFixed(1)} KB gzipped`);
