// A TURN server (coturn) that relays for whoever has a password that signaling gave it.

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { find } from "./programs";
import { freePort } from "./ports";

const path = find("TURNSERVER", "turnserver");
/** Of this machine: no browser relays by the loopback. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === "IPv4" && !each.internal)?.address;

/** Why tests with it are not run here; false: they are. */
export const skip =
  path === undefined
    ? "not run here: turnserver of coturn (TURNSERVER names one)"
    : address === undefined
      ? "not run here: this machine has no address but loopback"
      : false;

const SECRET = "a secret of signaling and the TURN server";

export class Turn {
  private constructor(
    private readonly process: ChildProcess,
    /** What a signaling service has to know. */
    readonly settings: Record<string, string>,
  ) {}

  /** @param folder for what it writes */
  static async start(folder: string): Promise<Turn> {
    const port = await freePort(address!);
    const options = {
      "listening-ip": address!,
      "listening-port": port,
      "relay-ip": address!,
      realm: "test",
      "static-auth-secret": SECRET,
      "log-file": "stdout",
      userdb: join(folder, "turn.db"),
      pidfile: join(folder, "turn.pid"),
    };
    const flags = ["use-auth-secret", "no-tls", "no-dtls", "no-cli"];
    const args = [...Object.entries(options).map(([key, value]) => `--${key}=${value}`), ...flags.map((flag) => `--${flag}`)];
    const child = spawn(path!, ["-n", ...args], { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface(child.stdout!)) {
      if (line.includes("Total General servers")) {
        break;
      }
    }
    child.stdout!.resume(); // it says a line for each allocation
    const file = join(folder, "turn.secret");
    writeFileSync(file, SECRET, { mode: 0o600 });
    return new Turn(child, {
      ACTR_SIGNALING__TURN_URLS: `turn:${address}:${port}?transport=tcp`,
      ACTR_SIGNALING__TURN_SECRET_FILE: file,
    });
  }

  async stop(): Promise<void> {
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }
}
