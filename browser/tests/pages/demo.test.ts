// The page of `actr demo --browser`, as the command serves it: chat, a file, a camera, the wire that is cut, a
// talk that ends, two browsers, and who is let in.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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

/** The child of a process that runs a Python module. */
function childOf(parent: number, module: string): number {
  const found = readdirSync("/proc").find((name) => {
    try {
      const [, ppid] = /\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
      return Number(ppid) === parent && readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").includes(module);
    } catch {
      return false; // no process, or one that has ended
    }
  });
  assert.ok(found, module);
  return Number(found);
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
      const sent = await numberOf(page, "sent");
      assert.ok(sent > 100, `${sent}`);
      await passes(page, "came", sent); // all of those have come back, and one more
      assert.deepEqual([await text(page, "lost"), await text(page, "doubled")], ["0", "0"]);
      assert.equal(await text(page, "state"), "online");
    }
    await one.click("#camera");
    await says(one, "pictures", /^off$/);
    assert.deepEqual(browser.complaints, []);
    // One that leaves says so: nobody waits until its link is given up.
    const left = performance.now();
    await two.goto("about:blank");
    await says(one, "people", /1 here/);
    assert.ok(performance.now() - left < 15_000, `${performance.now() - left} ms`);
    await two.close();
    await one.close();
  });

  test("when a talk ends, what did not come back is lost, and another one begins", { timeout }, async () => {
    const page = await open();
    await passes(page, "came", 20);
    await page.fill("#text", "said before");
    await page.press("#text", "Enter");
    await says(page, "lines", /said before/);
    const stage = childOf(demo.pid!, "actr_peer.cli.demo.page.actor");
    process.kill(stage, "SIGSTOP");
    try {
      await page.fill("#text", "said into nothing");
      await page.press("#text", "Enter");
      await says(page, "people", /^there is no talk: .*; another one begins$/);
      const [sent, came, lost] = [await numberOf(page, "sent"), await numberOf(page, "came"), await numberOf(page, "lost")];
      assert.ok(lost > 20, `${lost}`);
      assert.equal(sent, came + lost);
      assert.ok(await page.isDisabled("#text"));
      assert.ok(await page.isDisabled("#send"));
    } finally {
      process.kill(stage, "SIGCONT");
    }
    await says(page, "people", /here: .*tab/);
    assert.ok(await page.isEnabled("#text"));
    const [sent, lost] = [await numberOf(page, "sent"), await numberOf(page, "lost")];
    await says(page, "lines", /said into nothing/);
    await page.waitForFunction((than) => {
      const number = (id: string) => Number(document.getElementById(id)!.textContent);
      return number("came") + number("lost") > than;
    }, sent + 20, PATIENCE);
    assert.deepEqual([await numberOf(page, "lost"), await numberOf(page, "doubled")], [lost, 0]);
    assert.equal((await text(page, "lines")).split("said before").length, 2, "a line is there once");
    assert.equal((await text(page, "lines")).split("said into nothing").length, 2);
    await page.close();
  });

  test("two browsers live beside each other: neither takes the other's key away", { timeout }, async () => {
    const one = await open();
    const other = await Browser.start(CAMERA);
    try {
      const two = await other.open(url);
      await says(two, "people", /2 here/);
      await says(one, "people", /2 here/);
      const types = await Promise.all([one, two].map(async (page) => /^demo-page:[0-9a-f]{16}@/.exec(await text(page, "me"))?.[0]));
      assert.ok(types[0] && types[1] && types[0] !== types[1], `${types}`);
      const { issuer } = await (await fetch(new URL("settings.json", url))).json();
      assert.deepEqual((await (await fetch(new URL("v1/revoked", `${issuer}/`))).json()).revoked, []);
      await two.reload();
      await says(two, "people", /2 here/);
      assert.equal(/^demo-page:[0-9a-f]{16}@/.exec(await text(two, "me"))?.[0], types[1], "it is kept");
    } finally {
      await other.close();
      await one.close();
    }
  });

  test("without what is after the # of its address a page may not join", { timeout }, async () => {
    const other = await Browser.start();
    try {
      const page = await other.open(new URL("/", url).href);
      await says(page, "state", /open the whole address/);
    } finally {
      await other.close();
    }
  });

  test("one that the browser had kept, and shows again, is loaded anew", { timeout }, async () => {
    const page = await open();
    const loaded = page.waitForEvent("load", PATIENCE);
    await page.evaluate(() => void dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    await loaded;
    await says(page, "people", /here: .*tab/);
    await page.close();
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
    const elsewhere = await fetch(new URL("token", url), { method: "POST" });
    assert.equal(elsewhere.status, 403);
  });

  test("Ctrl-C ends it, and all its processes", { timeout }, async () => {
    demo.kill("SIGINT");
    const [status] = await once(demo, "exit");
    assert.equal(status, 0);
    await assert.rejects(fetch(url));
  });
});
