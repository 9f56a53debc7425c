// What stands before services in production: a proxy that speaks TLS to browsers, and TCP to them.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Server, TLSSocket } from "node:tls";
import { createServer } from "node:tls";

import { find } from "./programs";

/** Why tests with it are not run here; false: they are. */
export const skip = find("OPENSSL", "openssl") === undefined ? "not run here: openssl" : false;

/** Of `localhost`, signed by nobody. */
function certificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "actr-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const args = ["req", ...made, "-subj", "/CN=localhost", "-keyout", key, "-out", cert];
  execFileSync(find("OPENSSL", "openssl")!, args, { stdio: "ignore" });
  const read = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  return read;
}

export class TlsProxy {
  private readonly sockets = new Set<TLSSocket>();
  /** A port of this machine; known by when somebody connects. */
  to = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<TlsProxy> {
    const server = createServer(certificate(), (near) => proxy.join(near));
    const proxy: TlsProxy = new TlsProxy(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  /** `localhost:port` */
  get host(): string {
    return `localhost:${(this.server.address() as AddressInfo).port}`;
  }

  private join(near: TLSSocket): void {
    const far = connect(this.to, "127.0.0.1");
    this.sockets.add(near);
    near.pipe(far).pipe(near);
    far.on("error", () => near.destroy());
    near.on("error", () => far.destroy());
    near.on("close", () => this.sockets.delete(near));
  }

  /** Ends all connections at once. */
  cut(): void {
    this.sockets.forEach((socket) => socket.destroy());
  }

  stop(): void {
    this.cut();
    this.server.close();
  }
}
