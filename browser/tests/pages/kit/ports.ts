// Ports for programs that have to be told one.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";

/** One that nobody has now. */
export async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
