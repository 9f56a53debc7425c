// The messages of a call: what comes of the far side, parsed; and names for calls.

import { CallError, Code, LimitError, RemoteProtocolError } from "../errors";
import { noRequest } from "../protocol/rpc/call-errors";
import type { Method } from "../service";
import type { StreamReader } from "../transport/stream-reader";

/** A UUIDv7 (RFC 9562) in text form. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  const now = Date.now();
  view.setUint32(0, Math.floor(now / 0x1_0000));
  view.setUint16(4, now % 0x1_0000);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Reads a reply; throws `RemoteProtocolError` if `data` is none. */
export function readReply<Res>(method: Method<any, Res>, data: Uint8Array): Res {
  try {
    return method.reply.read(data);
  } catch (cause) {
    throw new RemoteProtocolError(
      `${method.routeKey}: the far side's ${method.reply.name} does not decode; ` +
        "compare the .proto files of both sides",
      { cause },
    );
  }
}

/** Reads a request; throws the `CallError` that its caller is to hear if `data` is none. */
export function readRequest<Req>(method: Method<Req>, data: Uint8Array): Req {
  try {
    return method.request.read(data);
  } catch {
    throw noRequest(method.routeKey, method.request.name);
  }
}

/**
 * The requests of a stream, as its handler iterates them. Throws DATA_LOSS or RESOURCE_EXHAUSTED if
 * items did not come as they must, INVALID_ARGUMENT if one is no request, or what the caller ended
 * its half with.
 */
export async function* readRequests(method: Method, reader: StreamReader): AsyncGenerator<unknown> {
  try {
    for await (const chunk of reader) {
      yield readRequest(method, chunk.data);
    }
  } catch (cause) {
    if (cause instanceof RemoteProtocolError || cause instanceof LimitError) {
      const code = cause instanceof LimitError ? Code.RESOURCE_EXHAUSTED : Code.DATA_LOSS;
      throw new CallError(code, `${method.routeKey}: ${cause.message}`, {}, { cause });
    }
    throw cause;
  } finally {
    reader.close();
  }
}
