// What the service says of itself to its console, read from a real server; no page is needed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { readAbout } from "../../console/view/store";

/** Reads it from a server that answers so. */
async function read(status: number, body: string) {
  const server = createServer((_, response) => response.writeHead(status, { connection: "close" }).end(body)).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await readAbout(`http://127.0.0.1:${(server.address() as AddressInfo).port}/console.json`);
  } finally {
    server.close();
  }
}

test("what it says is read", async () => {
  const about = { version: "1", proof: "none", issuer: "" };
  assert.deepEqual(await read(200, JSON.stringify(about)), about);
});

test("who is refused reads the service's sentence, or its status where there is none", async () => {
  await assert.rejects(read(403, "The console is for this machine.\n"), { message: "The console is for this machine." });
  await assert.rejects(read(404, ""), { message: /404 Not Found/ });
  await assert.rejects(read(500, "x".repeat(10_000)), ({ message }: Error) => message.length <= 400);
});
