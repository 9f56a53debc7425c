// The real services of this repository, for tests from outside: Python is in the folder above, or PYTHON.

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

export const python = process.env["PYTHON"] ?? "../.venv/bin/python";

/** Why such tests are not run here; false: they are. */
export const skip = existsSync(python) ? false : `no ${python}: set PYTHON`;

/** A process that says in one line of JSON that it is ready. */
export class Service {
  private constructor(
    readonly process: ChildProcess,
    readonly ready: Record<string, any>,
  ) {}

  static async start(args: string[], env: Record<string, string> = {}, cwd = "."): Promise<Service> {
    const stdio = ["ignore", "pipe", process.env["SHOW"] ? "inherit" : "ignore"] as const;
    const child = spawn(resolve(python), args, { cwd, stdio: [...stdio], env: { ...process.env, ...env } });
    const [line] = await once(createInterface(child.stdout!), "line");
    const ready = JSON.parse(line);
    if (ready.error !== undefined) {
      throw new Error(`${args.join(" ")}: ${ready.error.text}`);
    }
    return new Service(child, ready);
  }

  /** A signaling service that remembers nothing. */
  static signaling(env: Record<string, string> = {}, port = 0): Promise<Service> {
    const listen = { ACTR_SIGNALING__LISTEN: `127.0.0.1:${port}` };
    return Service.start(["-m", "actr_signaling"], { ...listen, ...env });
  }

  /** The demo's chat room, which listens for WebSockets; it keeps what it has in `folder`. */
  static room(id: string, signaling: string, folder: string, env: Record<string, string> = {}): Promise<Service> {
    const what = ["actr_peer.cli.demo.room:Room", "--json", "--id", id, "--mailbox", ""];
    const here = { ACTR_SIGNALING__URL: signaling, ACTR_WIRES__LISTEN: "127.0.0.1:0" };
    const patient = { ACTR_ACTOR__START_TIMEOUT_S: "60" }; // a busy machine takes its time
    return Service.start(["-m", "actr_peer", "run", ...what], { ...here, ...patient, ...env }, folder);
  }

  get url(): string {
    return this.ready["url"];
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(signal);
      await once(this.process, "exit");
    }
  }
}
