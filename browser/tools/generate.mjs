// Writes src/gen and tests/gen from the contracts in proto/, by protobuf-es; `--check` compares instead.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const protos = join(here, "..", "proto");
const contracts = { src: ["envelope", "signaling"], tests: ["options", "demo/chat"] };
const python = process.env.PYTHON ?? join(here, "..", ".venv", "bin", "python");

function generate(folder, names) {
  execFileSync(
    python,
    [
      "-m", "grpc_tools.protoc", `-I${protos}`,
      `--plugin=${join(here, "node_modules", ".bin", "protoc-gen-es")}`,
      `--es_out=${folder}`, "--es_opt=target=ts",
      ...names.map((name) => `actr/${name}.proto`),
    ],
    { stdio: "inherit" },
  );
}

for (const [where, names] of Object.entries(contracts)) {
  const gen = join(here, where, "gen");
  if (!process.argv.includes("--check")) {
    mkdirSync(gen, { recursive: true });
    generate(gen, names);
    continue;
  }
  const fresh = mkdtempSync(join(tmpdir(), "actr-gen-"));
  try {
    generate(fresh, names);
    for (const name of names.map((name) => join("actr", `${name}_pb.ts`))) {
      const [made, kept] = [fresh, gen].map((folder) => readFileSync(join(folder, name)));
      if (!made.equals(kept)) {
        throw new Error(`${where}/gen/${name} is not what its contract gives: npm run generate`);
      }
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
}
