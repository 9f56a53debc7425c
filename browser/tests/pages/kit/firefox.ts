// Debian's Firefox for tests, by WebDriver BiDi (w3.org/TR/webdriver-bidi), which it speaks itself:
// six commands over one socket. Playwright drives a Firefox of its own only, and what drives this
// one brings fifty packages, or a newer Node.js than the package asks for.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

import { skip as noServices } from "../../kit/services";
import { find } from "./programs";

const path = find("FIREFOX", "firefox-esr");

/** Why tests in Firefox are not run here; false: they are. */
export const skip = path === undefined ? "not run here: firefox-esr (FIREFOX names one)" : noServices;

/** No updates, no pages and no requests of its own. */
const PREFERENCES = {
  "app.update.disabledForTesting": true,
  "browser.startup.page": 0,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "remote.active-protocols": 1,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.enabled": false,
};

interface Answer {
  readonly type: "success" | "error" | "event";
  readonly id: number;
  readonly method: string;
  readonly result: any;
  readonly error: string;
  readonly message: string;
  readonly params: any;
}

/** A tab, in the words of Playwright's `Page` that the tests use. */
export class Tab {
  constructor(
    private readonly ask: (method: string, params: object) => Promise<any>,
    private readonly context: string,
  ) {}

  /** What the function says in the page; it and its argument go there as text, and come as JSON. */
  async evaluate<T, A>(work: (argument: A) => T | Promise<T>, argument: A): Promise<T> {
    const { type, result, exceptionDetails } = await this.ask("script.callFunction", {
      functionDeclaration: `async (text) => JSON.stringify(await (${work})(JSON.parse(text))) ?? ""`,
      arguments: [{ type: "string", value: JSON.stringify(argument) }],
      target: { context: this.context },
      awaitPromise: true,
    });
    if (type === "exception") {
      throw new Error(`in the page: ${exceptionDetails.text}`);
    }
    return result.value === "" ? (undefined as T) : JSON.parse(result.value);
  }

  /** In front of all other tabs, which are hidden then. */
  async show(): Promise<void> {
    await this.ask("browsingContext.activate", { context: this.context });
  }

  async close(): Promise<void> {
    await this.ask("browsingContext.close", { context: this.context });
  }
}

export class Firefox {
  /** What any page has logged as an error, or thrown. */
  readonly complaints: string[] = [];
  #asked = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();

  private constructor(
    private readonly process: ChildProcess,
    private readonly socket: WebSocket,
    private readonly profile: string,
  ) {
    socket.on("message", (data) => this.#hear(JSON.parse(String(data))));
  }

  static async start(): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "actr-firefox-"));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
    writeFileSync(join(profile, "user.js"), lines.join("\n"));
    const flags = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"];
    const process = spawn(path!, flags, { stdio: ["ignore", "ignore", "pipe"] });
    const socket = new WebSocket(`${await said(process)}/session`);
    await once(socket, "open");
    const browser = new Firefox(process, socket, profile);
    await browser.#ask("session.new", { capabilities: {} });
    await browser.#ask("session.subscribe", { events: ["log.entryAdded"] });
    return browser;
  }

  /** A new tab with this page, which has loaded. */
  async open(url: string): Promise<Tab> {
    const { context } = await this.#ask("browsingContext.create", { type: "tab" });
    await this.#ask("browsingContext.navigate", { context, url, wait: "complete" });
    return new Tab((method, params) => this.#ask(method, params), context);
  }

  async close(): Promise<void> {
    const ended = once(this.process, "exit");
    this.socket.terminate();
    this.process.kill();
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #ask(method: string, params: object): Promise<any> {
    const id = ++this.#asked;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, params }));
    const { type, result, error, message } = await answered;
    if (type === "error") {
      throw new Error(`${method}: ${error}: ${message}`);
    }
    return result;
  }

  #hear(answer: Answer): void {
    if (answer.type === "event") {
      const { level, text } = answer.params;
      if (level === "error") {
        this.complaints.push(`logged: ${text}`);
      }
      return;
    }
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}

/** Where it listens, as it says when it does. */
async function said(process: ChildProcess): Promise<string> {
  for await (const line of createInterface(process.stderr!)) {
    const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
    if (address !== undefined) {
      process.stderr!.resume(); // nobody reads what else it says
      return address;
    }
  }
  throw new Error("firefox ended before it listened");
}
