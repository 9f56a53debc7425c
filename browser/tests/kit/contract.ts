// The contract of the tests, with a method of each kind: texts in, texts out.

import { create, type MessageShape } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";

import { TalkService } from "../gen/talk_actr";

export type Text = MessageShape<typeof StringValueSchema>;

export const { SAY, URGENT, LIST, UPLOAD, CHAT, CURSOR } = TalkService;

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
