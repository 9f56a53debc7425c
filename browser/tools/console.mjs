// Bundles the console of the signaling service: a page, a script and its map, a style sheet, a picture.
//
// What it has in common with all pages, /actr.js and /certificates.js, it loads beside it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = fileURLToPath(new URL("..", import.meta.url));
const folder = join(here, "console");

const beside = {
  name: "beside",
  setup({ onResolve }) {
    onResolve({ filter: /^actr(\/certificates)?$/ }, ({ path }) => ({
      path: path === "actr" ? "/actr.js" : "/certificates.js",
      external: true,
    }));
    onResolve({ filter: /^actr\/protobuf$/ }, () => ({ path: join(here, "src", "codec.ts") }));
    // A picture of the service's own, which the page asks for.
    onResolve({ filter: /^\/console\.svg$/ }, ({ path }) => ({ path, external: true }));
  },
};

const common = { absWorkingDir: here, bundle: true, minify: true, write: false, legalComments: "none", plugins: [beside] };

/** Contents by the name under which each is served. */
export async function consoleFiles() {
  const script = await build({
    ...common,
    entryPoints: { console: join("console", "main.tsx") },
    outdir: "built",
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: "linked",
    sourcesContent: true,
  });
  const styles = await build({ ...common, entryPoints: { console: join("console", "styles", "main.css") }, outdir: "built" });
  const files = {};
  for (const { path, text } of [...script.outputFiles, ...styles.outputFiles]) {
    files[path.slice(path.lastIndexOf("/") + 1)] = text;
  }
  const map = JSON.parse(files["console.js.map"]);
  map.sources = map.sources.map((path) => path.replace(/^(\.\.\/)+/, ""));
  files["console.js.map"] = `${JSON.stringify(map)}\n`;
  for (const name of ["index.html", "console.svg"]) {
    files[name] = readFileSync(join(folder, name), "utf8");
  }
  return files;
}
