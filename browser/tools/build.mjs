// Bundles the package to dist/actr.js, one file with its source map, and what makes messages of
// protobuf-es into its own to dist/protobuf.js; says their sizes when packed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = fileURLToPath(new URL("..", import.meta.url));
const folder = join(here, "dist");
await build({
  entryPoints: { actr: join(here, "src", "index.ts"), protobuf: join(here, "src", "codec.ts") },
  outdir: folder,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  sourcemap: true,
  legalComments: "none",
});
for (const name of ["actr.js", "protobuf.js"]) {
  const packed = gzipSync(readFileSync(join(folder, name)), { level: 9 }).length;
  console.log(`dist/${name}: ${(packed / 1024).toFixed(1)} KB gzipped`);
}
