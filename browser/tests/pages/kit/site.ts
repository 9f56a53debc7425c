// A web site for tests: one page under a strict policy, the built bundle, and the tests' own script.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";

import { build } from "esbuild";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>actr</title>
<link rel="icon" href="data:,">
<video id="video" muted autoplay playsinline></video>
<script type="module" src="/page.js"></script>
</html>`;

/** Nothing but this site's scripts, and connections to this machine. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self' ws://127.0.0.1:* http://127.0.0.1:* wss://localhost:*",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** What the package gives under these names, pages take from the files that were built. */
const BUILT: Record<string, string> = {
  actr: "/actr.js",
  "actr/certificates": "/certificates.js",
  "actr/websocket": "/websocket.js",
};
/** What the first of them loads where it is wanted. */
const LOADED = ["/contracts.js", "/relayed.js"];

async function bundle(): Promise<Uint8Array> {
  const made = await build({
    entryPoints: ["tests/pages/page/steps.ts"],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    sourcemap: "inline",
    plugins: [
      {
        name: "built",
        setup(building) {
          building.onResolve({ filter: /^actr(\/(websocket|certificates))?$/ }, ({ path }) => ({ path: BUILT[path]!, external: true }));
          // Of the page's own bundle, as protobuf-es is, which it imports.
          building.onResolve({ filter: /^actr\/protobuf$/ }, () => ({ path: resolve("dist/protobuf.js") }));
          building.onResolve({ filter: /^\.\/actr\.js$/ }, () => ({ path: BUILT["actr"]!, external: true }));
        },
      },
    ],
  });
  return made.outputFiles[0]!.contents;
}

export class Site {
  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {}

  /** Needs `dist/`, which `npm run build` makes. */
  static async start(): Promise<Site> {
    const files = new Map<string, [type: string, content: string | Uint8Array]>([
      ["/", ["text/html", PAGE]],
      ["/page.js", ["text/javascript", await bundle()]],
      ...[...Object.values(BUILT), ...LOADED].map((name) => [name, ["text/javascript", readFileSync(`dist${name}`)]] as const),
    ] as [string, [string, string | Uint8Array]][]);
    const server = createServer((asked, response) => {
      const found = files.get(asked.url ?? "");
      if (found === undefined) {
        send(response, 404, "text/plain", "not here");
      } else {
        send(response, 200, ...found);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Site(server, (server.address() as AddressInfo).port);
  }

  /** As its pages say it. */
  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  /** The same site, under another origin. */
  get other(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function send(response: ServerResponse, status: number, type: string, content: string | Uint8Array): void {
  response.writeHead(status, {
    "Content-Type": `${type}; charset=utf-8`,
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  });
  response.end(content);
}
