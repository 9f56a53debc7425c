// The actor of wide_actor.py, with the Python that its contract gives.

import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";

import { python, Service } from "../../kit/services";

export const WIDE = "acme:wide@1:default";

/** Starts it, or another workload of this folder; what it needs is in a folder of its own, which is the caller's to remove. */
export async function wide(signaling: string, env: Record<string, string> = {}, id = WIDE, workload = "wide_actor:Wide"): Promise<[Service, folder: string]> {
  const folder = mkdtempSync(join(tmpdir(), "actr-wide-"));
  const contract = resolve("tests/console/kit/wide.proto");
  const where = ["-I", resolve("../proto"), "-I", resolve("tests/console/kit")];
  execFileSync(python, ["-m", "actr_peer", "gen", ...where, "--out", folder, contract], { stdio: "ignore" });
  const path = [resolve("tests/console/kit"), folder, process.env["PYTHONPATH"]].filter(Boolean).join(delimiter);
  const what = ["-m", "actr_peer", "run", workload, "--json", "--id", id, "--mailbox", ""];
  const patient = { ACTR_ACTOR__START_TIMEOUT_S: "60" };
  const args = [...what, "--signaling", signaling, "--listen", "127.0.0.1:0"];
  return [await Service.start(args, { PYTHONPATH: path, ...patient, ...env }, folder), folder];
}
