// Writes src/gen from the contracts in proto/, by protobuf-es; `--check` compares instead.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const protos = join(here, "..", "proto");
const files = ["envelope", "options", "signaling"].map((name) => `actr/${name}.proto`);
const python = process.env.PYTHON ?? join(here, "..", ".venv", "bin", "python");

function generate(folder) {
  execFileSync(
    python,
    [
      "-m", "grpc_tools.protoc", `-I${protos}`,
      `--plugin=${join(here, "node_modules", ".bin", "protoc-gen-es")}`,
      `--es_out=${folder}`, "--es_opt=target=ts", ...files,
    ],
    { stdio: "inherit" },
  );
}

const gen = join(here, "src", "gen");
if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "actr-gen-"));
  try {
    generate(fresh);
    for (const name of readdirSync(join(fresh, "actr"))) {
      const [made, kept] = [fresh, gen].map((folder) => readFileSync(join(folder, "actr", name)));
      if (!made.equals(kept)) {
        throw new Error(`src/gen/actr/${name} is not what its contract gives: npm run generate`);
      }
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  generate(gen);
}
