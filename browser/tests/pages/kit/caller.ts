// A peer of Python that does what it is asked, one thing after the other (`caller.py`).

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import type { Interface } from "node:readline";
import { createInterface } from "node:readline";

const python = process.env["PYTHON"] ?? "../.venv/bin/python";

export class Caller {
  private constructor(
    private readonly process: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    readonly id: string,
  ) {}

  /** @param env more of its settings @param program with its arguments, in place of `caller.py` */
  static async start(
    signaling: string,
    env: Record<string, string> = {},
    ...[program = "tests/pages/kit/caller.py", ...args]: string[]
  ): Promise<Caller> {
    const settings = { ACTR_SIGNALING__URL: signaling, ACTR_MAILBOX__PATH: "", ACTR_CONTROL__SOCKET: "", ...env };
    const child = spawn(resolve(python), [program, ...args], {
      stdio: ["pipe", "pipe", process.env["SHOW"] ? "inherit" : "ignore"],
      env: { ...process.env, ...settings },
    });
    const lines: Interface = createInterface(child.stdout!);
    const all = lines[Symbol.asyncIterator]();
    const { value } = await all.next();
    return new Caller(child, all, JSON.parse(value).id);
  }

  /** Rejects with the error's name and text. */
  async ask(what: string, given: Record<string, unknown> = {}): Promise<any> {
    this.process.stdin!.write(`${JSON.stringify({ do: what, ...given })}\n`);
    const { value } = await this.lines.next();
    const { result, error } = JSON.parse(value);
    if (error !== undefined) {
      throw new Error(error);
    }
    return result;
  }

  /** Ends it with no word to anybody. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.stdin!.end();
      await once(this.process, "exit");
    }
  }
}
