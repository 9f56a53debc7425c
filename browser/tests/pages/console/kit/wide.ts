// The actor of forms, and the page of it in a console.

import { rmSync } from "node:fs";

import type { Page } from "playwright-core";

import { wide, WIDE } from "../../../console/kit/wide";
import type { Service } from "../../../kit/services";
import { type ConsoleWorld, LOOK } from "./world";

export { WIDE };

/** Starts an actor of `tests/console/kit`, until the world ends. */
export async function wideIn(world: ConsoleWorld, env: Record<string, string> = {}, id = WIDE, workload?: string): Promise<Service> {
  const [actor, folder] = await wide(world.signaling.url, { ...LOOK, ...env }, id, workload);
  world.end(async () => {
    await actor.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return actor;
}

/** Its page, once it is looked into. */
export async function openActor(world: ConsoleWorld, id = WIDE, size?: { width: number; height: number }): Promise<Page> {
  const page = await world.open(`/#/actor/${encodeURIComponent(id)}`, size && { size });
  await page.locator("#panel-mailbox").waitFor();
  return page;
}

/** The panel of calls, with this method chosen. */
export async function chosen(page: Page, method: string) {
  const panel = page.locator("#panel-call");
  const ask = panel.getByRole("button", { name: "Ask what it offers" });
  const choice = panel.getByLabel("Method", { exact: true });
  await ask.or(choice).first().waitFor();
  if (await ask.isVisible()) {
    await ask.click();
  }
  await choice.selectOption({ label: method });
  return panel;
}
