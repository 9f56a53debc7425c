// A way between a page and a peer that can be cut.

import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";

export class Proxy {
  private readonly sockets = new Set<Socket>();
  /** How often it was cut with a connection in it. */
  cuts = 0;

  private constructor(private readonly server: Server) {}

  /** @param to `ws://host:port/path` */
  static async start(to: string): Promise<Proxy> {
    const { hostname, port } = new URL(to);
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const [one, other] of [[near, far], [far, near]] as const) {
        proxy.sockets.add(one);
        one.pipe(other);
        one.on("error", () => {});
        one.on("close", () => {
          proxy.sockets.delete(one);
          other.destroy();
        });
      }
    });
    const proxy: Proxy = new Proxy(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get address(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1/wire`;
  }

  /** Both ends hear of it at once, and what was between them is lost. */
  cut(): void {
    this.cuts += this.sockets.size > 0 ? 1 : 0;
    this.sockets.forEach((socket) => socket.resetAndDestroy());
  }

  stop(): void {
    this.cut();
    this.server.close();
  }
}
