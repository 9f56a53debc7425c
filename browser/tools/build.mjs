// Builds the package to dist/: actr.js, what every page loads; beside it what some pages load, and
// what makes messages of protobuf-es into its own; each with its source map, and all types.
//
// `--check` says instead whether the committed copy that the signaling service ships is what the
// sources give today; `--ship` writes it.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { minify } from "terser";

/**
 * Bytes of actr.js as it travels, packed by gzip: what a page waits for before it can join. It is to be
 * 40 KB, and is not: this bound keeps it from growing (docs/browser.md).
 */
const MAX_BYTES = 43.8 * 1024;

const here = fileURLToPath(new URL("..", import.meta.url));
const src = join(here, "src");
const dist = join(here, "dist");
const shipped = join(here, "..", "services", "signaling", "src", "actr_signaling", "web", "browser", "built");
const entries = {
  actr: "index.ts",
  certificates: "certificates.ts",
  contracts: "rpc/compared.ts",
  websocket: "wire/websocket.ts",
  protobuf: "codec.ts",
};

/** What actr.js loads when it is wanted. */
const lazily = {
  "./certificates": "./certificates.js",
  "./compared": "./contracts.js",
  "./wire/websocket": "./websocket.js",
};

/** What other files share with actr.js, so that an error of theirs is one of its: there it is once. */
const shared = {
  name: "shared",
  setup({ onResolve, initialOptions }) {
    const isMain = initialOptions.outdir === "actr";
    onResolve({ filter: /^\./ }, ({ path, kind }) => {
      const lazy = kind === "dynamic-import" && lazily[path];
      if (lazy) {
        return { path: lazy, external: true };
      }
      const isShared = !isMain && /(\/errors|\/identity\/ids)$/.test(path);
      return isShared ? { path: "./actr.js", external: true } : undefined;
    });
  },
};

async function bundle(name) {
  const made = await build({
    absWorkingDir: here,
    entryPoints: { [name]: join("src", entries[name]) },
    outdir: name,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    minifySyntax: true,
    sourcemap: "external",
    legalComments: "none",
    plugins: [shared],
    external: ["@bufbuild/protobuf"], // the user's own, which generated messages are made for
    // Fields are set in constructors all the same, and need no second mention.
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  const [map, code] = made.outputFiles.sort((one) => (one.path.endsWith(".map") ? -1 : 1));
  const sources = JSON.parse(map.text);
  sources.sources = sources.sources.map((path) => path.replace(/^(\.\.\/)+/, ""));
  return minify(code.text, {
    module: true,
    ecma: 2020,
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true },
    sourceMap: { content: sources, filename: `${name}.js`, url: `${name}.js.map`, includeSources: true },
  });
}

const files = {};
for (const name of Object.keys(entries)) {
  const { code, map } = await bundle(name);
  files[`${name}.js`] = `${code}\n`;
  files[`${name}.js.map`] = `${map}\n`;
}

function write(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
  }
}

if (process.argv.includes("--check")) {
  const kept = new Set(readdirSync(shipped));
  for (const [name, text] of Object.entries(files)) {
    if (!kept.delete(name) || readFileSync(join(shipped, name), "utf8") !== text) {
      throw new Error(`${join(shipped, name)} is not what the sources give: npm run ship`);
    }
  }
  if (kept.size > 0) {
    throw new Error(`${shipped} has ${[...kept]}, which nothing makes: npm run ship`);
  }
} else if (process.argv.includes("--ship")) {
  write(shipped);
}
write(dist);
const types = ["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--rootDir", "src", "--outDir", "dist/types"];
const tsc = spawnSync(join(here, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.build.json", ...types], {
  cwd: here,
  stdio: "inherit",
});
for (const name of Object.keys(entries)) {
  const packed = gzipSync(files[`${name}.js`], { level: 9 }).length;
  console.log(`dist/${name}.js: ${(packed / 1024).toFixed(1)} KB gzipped`);
}
// So that Node.js and `nodenext` find them too: a module is named with its ending.
for (const name of readdirSync(join(dist, "types"), { recursive: true })) {
  if (name.endsWith(".d.ts")) {
    const path = join(dist, "types", name);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace(/(from |import\()"(\.{1,2}\/[^"]+)"/g, '$1"$2.js"'));
  }
}
const packed = gzipSync(files["actr.js"], { level: 9 }).length;
if (packed > MAX_BYTES) {
  throw new Error(`dist/actr.js has ${packed} bytes packed by gzip, over its bound of ${MAX_BYTES}`);
}
process.exit(tsc.status ?? 1);
