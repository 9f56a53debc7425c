// The demo's chat as a page has it: its methods, and a room that the page serves.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { Context, Route } from "actr";
import { CallError, Code, PayloadType, route } from "actr";
import { codec } from "actr/protobuf";

import * as chat from "../../../demo/gen/actr/demo/chat_pb";

export const SAY = {
  routeKey: "demo.Chat.Say",
  kind: "unary",
  payloadType: PayloadType.RPC_RELIABLE,
  request: codec(chat.SayRequestSchema),
  reply: codec(chat.SayReplySchema),
} as const;
export const KICK = {
  routeKey: "demo.Chat.Kick",
  kind: "unary",
  payloadType: PayloadType.RPC_SIGNAL,
  request: codec(chat.KickRequestSchema),
  reply: codec(chat.KickReplySchema),
} as const;
export const PRESENCE = {
  routeKey: "demo.Chat.Presence",
  kind: "server_stream",
  payloadType: PayloadType.STREAM_RELIABLE,
  request: codec(chat.PresenceRequestSchema),
  reply: codec(chat.PresenceChangeSchema),
} as const;
export const MESSAGES = {
  routeKey: "demo.Chat.Messages",
  kind: "server_stream",
  payloadType: PayloadType.STREAM_LATENCY_FIRST,
  request: codec(chat.MessagesRequestSchema),
  reply: codec(chat.ChatMessageSchema),
} as const;
export const UPLOAD = {
  routeKey: "demo.Chat.Upload",
  kind: "client_stream",
  payloadType: PayloadType.STREAM_RELIABLE,
  request: codec(chat.FilePieceSchema),
  reply: codec(chat.UploadReplySchema),
} as const;
export const CURSORS = {
  routeKey: "demo.Chat.Cursors",
  kind: "bidi_stream",
  payloadType: PayloadType.STREAM_LATENCY_FIRST,
  request: codec(chat.CursorMoveSchema),
  reply: codec(chat.CursorMoveSchema),
} as const;

export const say = (author: string, text = "") => create(chat.SayRequestSchema, { author, text });
export const kick = (who: string) => create(chat.KickRequestSchema, { who });
export const presence = () => create(chat.PresenceRequestSchema);
export const messages = (testLines: number) =>
  create(chat.MessagesRequestSchema, { testLines, textBytes: 10, intervalUs: 20_000 });
export const piece = (value: MessageInitShape<typeof chat.FilePieceSchema>["piece"]) =>
  create(chat.FilePieceSchema, { piece: value! });
export const move = (x: number) => create(chat.CursorMoveSchema, { who: "page", x, y: 0 });

export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A room in a page; `heard` has who called what. */
export function room(heard: string[]): Route[] {
  let said = 0n;
  const people = new Set<string>();
  return [
    route(SAY, ({ author }, ctx: Context) => {
      heard.push(`${ctx.caller} says`);
      if (author === "") {
        throw new CallError(Code.INVALID_ARGUMENT, "a line has an author: set it");
      }
      people.add(author);
      said += 1n;
      return create(chat.SayReplySchema, { number: said });
    }),
    route(KICK, ({ who }) => create(chat.KickReplySchema, { wasPresent: people.delete(who) })),
    route(PRESENCE, async function* () {
      for (const who of [...people].sort()) {
        yield create(chat.PresenceChangeSchema, { who, present: true });
      }
    }),
    route(UPLOAD, async (pieces) => {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const { piece } of pieces) {
        if (piece.case === "data") {
          parts.push(piece.value as Uint8Array<ArrayBuffer>);
        }
      }
      const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
      return create(chat.UploadReplySchema, { sizeBytes: BigInt(whole.length), sha256: await sha256(whole) });
    }),
    route(CURSORS, async function* (moves) {
      yield* moves;
    }),
  ];
}
