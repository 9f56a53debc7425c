// What a test in a browser stands in: a site, signaling that takes its pages, a room of Python.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import type { Page } from "playwright-core";

import { Service } from "../../kit/services";
import type { Given } from "../page/actor";
import type { Steps } from "../page/steps";
import { Browser, skip } from "./chromium";
import { Firefox, skip as withoutFirefox } from "./firefox";
import type { Tab } from "./firefox";
import { Site } from "./site";

export const ROOM = "demo:room@1:default";

export interface Wanted {
  /** False: nothing of it is started, as all that it is for is skipped. */
  readonly isRun?: boolean;
  /** Of Chromium's command line. */
  readonly flags?: readonly string[];
  /** Settings of the room, which may depend on where the site is. */
  readonly room?: (site: Site, world: World<any, any>) => Record<string, string>;
  readonly signaling?: (site: Site, world: World<any, any>) => Record<string, string> | Promise<Record<string, string>>;
}

type Args<Name extends keyof Steps> = Parameters<Steps[Name]>;

/** One step in a page, by name. */
export function step<Name extends keyof Steps>(
  page: Page | Tab,
  name: Name,
  ...args: Args<Name>
): Promise<Awaited<ReturnType<Steps[Name]>>> {
  return (page as Tab).evaluate(
    ([name, args]) => (window.steps as any)[name as string](...(args as unknown[])),
    [name, args] as const,
  );
}

/** A browser that a test drives. */
interface Driven<P> {
  readonly complaints: string[];
  open(url: string): Promise<P>;
  close(): Promise<void>;
}

/** Set up once for a file of tests, and taken down behind them. */
export class World<P extends Page | Tab = Page, B extends Driven<P> = Driven<P>> {
  site!: Site;
  signaling!: Service;
  room!: Service;
  browser!: B;
  readonly folder = mkdtempSync(join(tmpdir(), "actr-pages-"));

  private constructor(
    isRun: boolean,
    wanted: Wanted,
    private readonly browse: () => Promise<B>,
  ) {
    if (isRun) {
      before(() => this.#start(wanted));
    }
    after(() => this.#stop());
  }

  static chromium(wanted: Wanted = {}): World<Page, Browser> {
    return new World(!skip && wanted.isRun !== false, wanted, () => Browser.start(wanted.flags));
  }

  static firefox(wanted: Wanted = {}): World<Tab, Firefox> {
    return new World(!withoutFirefox, wanted, () => Firefox.start());
  }

  async #start({ room, signaling }: Wanted): Promise<void> {
    this.site = await Site.start();
    const allowed = { ACTR_SIGNALING__ALLOWED_ORIGINS: `${this.site.origin},${this.site.other}` };
    this.signaling = await Service.signaling({ ...allowed, ...(await signaling?.(this.site, this)) });
    [this.room, this.browser] = await Promise.all([
      Service.room(ROOM, this.signaling.url, this.folder, room?.(this.site, this)),
      this.browse(),
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
  async tab(
    id: string,
    kind: Given["kind"] = "webrtc",
    { at = this.site.origin, ...more }: Partial<Given> & { readonly at?: string } = {},
  ) {
    const page = await this.browser.open(at);
    await step(page, "start", { signaling: this.signaling.url, id, kind, ...more });
    return page;
  }

  /** Nobody threw, logged an error, or wanted what the policy of the pages refuses. */
  async assertQuiet(...pages: P[]): Promise<void> {
    for (const page of pages) {
      assert.deepEqual(await step(page, "refused"), []);
    }
    assert.deepEqual(this.browser.complaints, []);
  }
}
