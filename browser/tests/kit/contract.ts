// A contract for tests, with a method of each kind: texts in, texts out.

import { create, type MessageShape } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";

import { codec } from "../../src/codec";
import { PayloadType } from "../../src/protocol/payload";
import type { Method, MethodKind } from "../../src/service";

export type Text = MessageShape<typeof StringValueSchema>;

const TEXT = codec(StringValueSchema);

function method<Kind extends MethodKind>(
  name: string,
  kind: Kind,
  payloadType: Method["payloadType"],
): Method<Text, Text, Kind> {
  return { routeKey: `test.Talk.${name}`, kind, payloadType, request: TEXT, reply: TEXT };
}

export const SAY = method("Say", "unary", PayloadType.RPC_RELIABLE);
export const URGENT = method("Urgent", "unary", PayloadType.RPC_SIGNAL);
export const LIST = method("List", "server_stream", PayloadType.STREAM_RELIABLE);
export const UPLOAD = method("Upload", "client_stream", PayloadType.STREAM_RELIABLE);
export const CHAT = method("Chat", "bidi_stream", PayloadType.STREAM_RELIABLE);
export const CURSOR = method("Cursor", "server_stream", PayloadType.STREAM_LATENCY_FIRST);

export function text(value: string): Text {
  return create(StringValueSchema, { value });
}

export function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Waits until it is so, or for five seconds: a busy machine takes its time. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isSo(); tries++) {
    await pause(0.01);
  }
}
