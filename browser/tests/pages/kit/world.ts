// What a test in a browser stands in: a site, signaling that takes its pages, a room of Python.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import type { Page } from "playwright-core";

import { Service } from "../../kit/services";
import type { Steps } from "../page/steps";
import { Browser, skip } from "./chromium";
import { Site } from "./site";

export const ROOM = "demo:room@1:default";

export interface Wanted {
  /** Of Chromium's command line. */
  readonly flags?: readonly string[];
  /** Settings of the room, which may depend on where the site is. */
  readonly room?: (site: Site, world: World) => Record<string, string>;
  readonly signaling?: (site: Site, world: World) => Promise<Record<string, string>>;
}

type Args<Name extends keyof Steps> = Parameters<Steps[Name]>;

/** One step in a page, by name. */
export function step<Name extends keyof Steps>(
  page: Page,
  name: Name,
  ...args: Args<Name>
): Promise<Awaited<ReturnType<Steps[Name]>>> {
  return page.evaluate(
    ([name, args]) => (window.steps as any)[name as string](...(args as unknown[])),
    [name, args] as const,
  );
}

/** Set up once for a file of tests, and taken down behind them. */
export class World {
  site!: Site;
  signaling!: Service;
  room!: Service;
  browser!: Browser;
  readonly folder = mkdtempSync(join(tmpdir(), "actr-pages-"));

  constructor(wanted: Wanted = {}) {
    if (!skip) {
      before(() => this.#start(wanted));
    }
    after(() => this.#stop());
  }

  async #start({ flags = [], room, signaling }: Wanted): Promise<void> {
    this.site = await Site.start();
    const allowed = { ACTR_SIGNALING__ALLOWED_ORIGINS: `${this.site.origin},${this.site.other}` };
    this.signaling = await Service.signaling({ ...allowed, ...(await signaling?.(this.site, this)) });
    [this.room, this.browser] = await Promise.all([
      Service.room(ROOM, this.signaling.url, this.folder, room?.(this.site, this)),
      Browser.start(flags),
    ]);
  }

  async #stop(): Promise<void> {
    await this.browser?.close();
    await this.room?.stop();
    await this.signaling?.stop();
    this.site?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A tab whose actor has registered. */
  async tab(id: string, kind: "webrtc" | "websocket" = "webrtc", { address = "", at = this.site.origin } = {}) {
    const page = await this.browser.open(at);
    await step(page, "start", { signaling: this.signaling.url, id, kind, address });
    return page;
  }

  /** Nobody threw, logged an error, or wanted what the policy of the pages refuses. */
  async assertQuiet(...pages: Page[]): Promise<void> {
    for (const page of pages) {
      assert.deepEqual(await step(page, "refused"), []);
    }
    assert.deepEqual(this.browser.complaints, []);
  }
}
