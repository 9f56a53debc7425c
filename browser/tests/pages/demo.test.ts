// The page of `actr demo --browser`, as the command serves it: chat, a file, a camera, and the wire that is cut.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

import type { Page } from "playwright-core";

import { python } from "../kit/services";
import { Browser, CAMERA, skip } from "./kit/chromium";

const timeout = 300_000;
/** A busy machine takes its time. */
const PATIENCE = { timeout: 120_000 };

const text = (page: Page, id: string) => page.textContent(`#${id}`).then((found) => found ?? "");
const numberOf = async (page: Page, id: string) => Number(await text(page, id));

/** Waits until what a part of the page says fits. */
function says(page: Page, id: string, pattern: RegExp): Promise<unknown> {
  const fits = ([id, source]: readonly [string, string]) => new RegExp(source).test(document.getElementById(id)!.textContent!);
  return page.waitForFunction(fits, [id, pattern.source] as const, PATIENCE);
}

/** Waits until a number in the page is over another. */
function passes(page: Page, id: string, than: number): Promise<unknown> {
  const isOver = ([id, than]: readonly [string, number]) => Number(document.getElementById(id)!.textContent) > than;
  return page.waitForFunction(isOver, [id, than] as const, PATIENCE);
}

describe("the page of the demo", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "actr-demo-page-"));
  let demo: ReturnType<typeof spawn>;
  let url = "";
  let browser: Browser;

  before(async () => {
    demo = spawn(resolve(python), ["-m", "actr_peer", "demo", "--browser", "--no-open", "--json"], {
      cwd: folder,
      stdio: ["ignore", "pipe", process.env["SHOW"] ? "inherit" : "ignore"],
    });
    const [line] = await once(createInterface(demo.stdout!), "line");
    url = JSON.parse(line).url;
    browser = await Browser.start(CAMERA);
  });
  after(async () => {
    await browser?.close();
    if (demo.exitCode === null) {
      demo.kill("SIGKILL");
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const open = async () => {
    const page = await browser.open(url);
    await says(page, "people", /\d here: .*tab/);
    return page;
  };

  test("two tabs chat; a file and a camera go on through cuts, and nothing is lost or doubled", { timeout }, async () => {
    const [one, two] = [await open(), await open()];
    await says(one, "people", /2 here/);
    await two.fill("#text", "hello from two");
    await two.press("#text", "Enter");
    await says(one, "lines", /hello from two/);

    await one.click("#camera");
    await says(one, "pictures", /your camera: [1-9]\d* pictures went back in grey, [1-9]\d* were shown/);

    await one.click("#made");
    await says(one, "upload", /noise: \d/);
    for (let cut = 1; cut <= 2; cut++) {
      await one.click("#cut");
      await one.fill("#text", `said after cut ${cut}`);
      await one.press("#text", "Enter");
      await says(two, "lines", new RegExp(`said after cut ${cut}`));
      await says(one, "wire-state", /ready/);
      await one.waitForSelector("#cut:not([disabled])", PATIENCE);
    }
    await says(one, "upload", /both hashes are equal|differ|did not/);
    assert.match(await text(one, "upload"), /^noise: 8\.0 MB .*both hashes are equal$/);
    assert.equal(await text(one, "here"), await text(one, "there"));
    assert.match(await text(one, "there"), /^[0-9a-f]{64}$/);

    // On the new wire too: beats, and the picture, which is grey.
    const [came, shown] = [await numberOf(one, "came"), Number(/(\d+) were/.exec(await text(one, "pictures"))![1])];
    await passes(one, "came", came + 20);
    await one.waitForFunction((than) => Number(/(\d+) were/.exec(document.getElementById("pictures")!.textContent!)?.[1]) > than, shown + 5, PATIENCE);
    const colour = await one.evaluate(() => {
      const canvas = document.createElement("canvas");
      const at = canvas.getContext("2d")!;
      const most = (id: string) => {
        at.drawImage(document.getElementById(id) as HTMLVideoElement, 0, 0, canvas.width, canvas.height);
        const { data } = at.getImageData(0, 0, canvas.width, canvas.height);
        let most = 0;
        for (let pixel = 0; pixel < data.length; pixel += 4) {
          const [red, green, blue] = [data[pixel]!, data[pixel + 1]!, data[pixel + 2]!];
          most = Math.max(most, Math.max(red, green, blue) - Math.min(red, green, blue));
        }
        return most;
      };
      return { out: most("out"), back: most("in") };
    });
    assert.ok(colour.out > 100 && colour.back < 30, JSON.stringify(colour));

    assert.equal(await text(one, "cuts"), "2");
    assert.match(await text(one, "back"), /^\d+ ms$/);
    assert.match(await text(one, "events"), /you cut the wire.*another WebRTC wire is open.*the session goes on over it/);
    for (const page of [one, two]) {
      assert.deepEqual([await text(page, "lost"), await text(page, "doubled")], ["0", "0"]);
      assert.equal(await text(page, "state"), "online");
    }
    await one.click("#camera");
    await says(one, "pictures", /^off$/);
    assert.deepEqual(browser.complaints, []);
    await two.close();
    await says(one, "people", /1 here/);
    await one.close();
  });

  test("without leave to use a camera a drawn picture takes its place", { timeout }, async () => {
    const page = await open();
    await page.evaluate(() => {
      const refused = () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
      Object.defineProperty(navigator.mediaDevices, "getUserMedia", { value: refused });
    });
    await page.click("#camera");
    await says(page, "pictures", /no camera \(Permission denied\), so a drawn picture: [1-9]/);
    await page.close();
  });

  test("it asks nobody but this machine, and hands a token to its own page alone", { timeout }, async () => {
    const page = await browser.open("about:blank");
    const asked = new Set<string>();
    page.on("request", (request) => void asked.add(new URL(request.url()).hostname));
    const answer = (await page.goto(url))!;
    assert.match(answer.headers()["content-security-policy"]!, /default-src 'none'; script-src 'self';.*trusted-types 'none'/);
    await says(page, "people", /here/);
    assert.deepEqual([...asked], ["127.0.0.1"]);
    await page.close();
    const elsewhere = await fetch(`${url}token`, { method: "POST" });
    assert.equal(elsewhere.status, 403);
  });

  test("Ctrl-C ends it, and all its processes", { timeout }, async () => {
    demo.kill("SIGINT");
    const [status] = await once(demo, "exit");
    assert.equal(status, 0);
    await assert.rejects(fetch(url));
  });
});
