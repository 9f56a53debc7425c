// Debian's Chromium for tests: a profile of its own, and what its pages complain of.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { chromium } from "playwright-core";

import { skip as noServices } from "../../kit/services";
import { find } from "./programs";

const executablePath = find("CHROMIUM", "chromium");

/** Why tests in a browser are not run here; false: they are. */
export const skip = executablePath === undefined ? "not run here: chromium (CHROMIUM names one)" : noServices;

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Its own sandbox cannot be made by root.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

/** A camera that needs nobody's leave; with it a page shows its addresses in candidates. */
export const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

export class Browser {
  /** What any page has logged as an error, thrown, or been refused by its policy. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly context: BrowserContext,
    private readonly profile: string,
  ) {}

  /** @param flags more of the command line */
  static async start(flags: readonly string[] = []): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "actr-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: executablePath!,
      headless: true,
      args: [...FLAGS, ...flags],
    });
    return new Browser(context, profile);
  }

  /** A new tab with this page, which has loaded. */
  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.complaints.push(`threw: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (process.env["SHOW"]) {
        console.error(`[page] ${message.text()}`);
      }
      if (message.type() === "error") {
        this.complaints.push(`logged: ${message.text()}`);
      }
    });
    await page.goto(url); // its script has run by then
    return page;
  }

  async close(): Promise<void> {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}
