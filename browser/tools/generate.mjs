// Writes src/gen, tests/gen, demo/gen and console/gen from the contracts: src/gen by protobuf-es, as types of what
// goes over the wire; the others by `actr gen --lang ts`, as users have it. `--check` compares instead.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const protos = join(here, "..", "proto");
const kit = join(here, "tests", "kit");
const demo = join(protos, "actr", "demo");
const forms = join(here, "tests", "console", "kit");
const python = process.env.PYTHON ?? join(here, "..", ".venv", "bin", "python");

function run(...args) {
  execFileSync(python, args, { cwd: here, stdio: ["ignore", "ignore", "inherit"] });
}

function generated(gen, ...contracts) {
  run("-m", "actr_peer", "gen", "--lang", "ts", "-I", protos, "-I", kit, "-I", forms, "--out", gen, ...contracts);
}

const folders = {
  src: (gen) =>
    run(
      "-m", "grpc_tools.protoc", `-I${protos}`,
      `--plugin=${join(here, "node_modules", ".bin", "protoc-gen-es")}`,
      `--es_out=${gen}`, "--es_opt=target=ts", "actr/envelope.proto", "actr/signaling.proto",
    ),
  tests: (gen) => generated(gen, join(kit, "talk.proto"), join(forms, "wide.proto")),
  demo: (gen) => generated(gen, join(demo, "chat.proto"), join(demo, "stage.proto")),
  console: (gen) =>
    generated(gen, ...["inspection", "reflection"].map((name) => join(protos, "actr", "services", `${name}.proto`))),
};

function modules(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".ts"));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

for (const [where, generate] of Object.entries(folders)) {
  const gen = join(here, where, "gen");
  if (!process.argv.includes("--check")) {
    rmSync(gen, { recursive: true, force: true });
    mkdirSync(gen, { recursive: true });
    generate(gen);
    continue;
  }
  const fresh = mkdtempSync(join(tmpdir(), "actr-gen-"));
  try {
    generate(fresh);
    const [made, kept] = [modules(fresh), modules(gen)];
    for (const name of Object.keys({ ...made, ...kept })) {
      if (made[name] !== kept[name]) {
        throw new Error(`${where}/gen/${name} is not what its contract gives: npm run generate`);
      }
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
}
