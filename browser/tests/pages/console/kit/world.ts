// What a test of the console stands in: signaling that serves it, actors of Python, a browser.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import type { Page } from "playwright-core";

import { Service } from "../../../kit/services";
import { Caller } from "../../kit/caller";
import { Browser, skip } from "../../kit/chromium";
import { Proxy } from "../../kit/proxy";

export { skip } from "../../kit/chromium";

/** An actor that lets others look. */
export const LOOK = { ACTR_ACTOR__INSPECTION: "look" };

/** Of the page: what its policy has kept it from, since it was opened. */
declare global {
  interface Window {
    refused: string[];
  }
}

/** Set up once for a file of tests, and taken down behind them. */
export class ConsoleWorld {
  signaling!: Service;
  browser!: Browser;
  readonly folder = mkdtempSync(join(tmpdir(), "actr-console-"));
  readonly #ends: (() => Promise<void> | void)[] = [];

  /** @param settings of the signaling service; development mode where there are none */
  constructor(settings: (folder: string) => Record<string, string> = () => ({})) {
    if (!skip) {
      before(async () => {
        this.signaling = await Service.signaling(settings(this.folder));
        this.browser = await Browser.start();
      });
    }
    after(() => this.#stop());
  }

  async #stop(): Promise<void> {
    await this.browser?.close();
    for (const end of this.#ends.reverse()) {
      await end();
    }
    await this.signaling?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Has something ended with it. */
  end(end: () => Promise<void> | void): void {
    this.#ends.push(end);
  }

  /** Where the console is: by a name of this machine. */
  get origin(): string {
    return `http://localhost:${new URL(this.signaling.url).port}`;
  }

  /** A room of Python; it lets others look unless `env` says otherwise. */
  async room(id: string, env: Record<string, string> = {}): Promise<Service> {
    const room = await Service.room(id, this.signaling.url, this.folder, { ...LOOK, ...env });
    this.#ends.push(() => room.stop());
    return room;
  }

  /** A room of Python that calls others when it is asked to. */
  async peer(id: string, env: Record<string, string> = {}): Promise<Caller> {
    const settings = { ...LOOK, ACTR_ACTOR__ID: id, ACTR_ACTOR__START_TIMEOUT_S: "60", ...env };
    const caller = await Caller.start(this.signaling.url, settings, "tests/pages/console/kit/peer.py");
    this.#ends.push(() => caller.stop());
    return caller;
  }

  /** Actors that are only registered, from `demo:crowd@0:default` on: they answer nobody. */
  async crowd({ type, count, metadata }: { type: string; count: number; metadata: Record<string, string> }): Promise<Caller> {
    const args = [this.signaling.url, type, String(count), JSON.stringify(metadata)];
    const crowd = await Caller.start(this.signaling.url, {}, "tests/pages/console/kit/crowd.py", ...args);
    this.#ends.push(() => crowd.stop());
    return crowd;
  }

  /** A room whose WebSocket is reached by what can be cut. */
  async roomBehindProxy(id: string, env: Record<string, string> = {}): Promise<Proxy> {
    const [listen, port] = ["127.0.0.1", await freePort()];
    const proxy = await Proxy.start(`ws://${listen}:${port}/v1/wire`);
    this.#ends.push(() => proxy.stop());
    await this.peer(id, {
      ACTR_WIRES__LISTEN: `${listen}:${port}`,
      ACTR_WIRES__ADVERTISE: new URL(proxy.address).host,
      ...env,
    });
    return proxy;
  }

  /** The console, in a tab of its own, once it is there. @param path behind the origin */
  async open(path = "/", { size }: { size?: { width: number; height: number } } = {}): Promise<Page> {
    const page = await this.browser.open("about:blank");
    if (size !== undefined) {
      await page.setViewportSize(size);
    }
    await page.addInitScript(() => {
      window.refused = [];
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
        window.refused.push(`${violatedDirective} ${blockedURI}`);
      });
    });
    await page.goto(this.origin + path);
    return page;
  }

  /** Nobody threw, logged an error, or wanted what the policy of the page refuses. */
  async assertQuiet(...pages: Page[]): Promise<void> {
    for (const page of pages) {
      assert.deepEqual(await page.evaluate(() => window.refused), []);
    }
    assert.deepEqual(this.browser.complaints, []);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
