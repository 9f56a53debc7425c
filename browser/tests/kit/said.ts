// What a service says, for tests of the client: in protobuf's JSON form, as bytes.

import type { JsonValue } from "@bufbuild/protobuf";
import { fromJson, fromBinary, toBinary } from "@bufbuild/protobuf";

import type { ClientMessage } from "../../src/gen/actr/signaling_pb";
import { ClientMessageSchema, ServerMessageSchema } from "../../src/gen/actr/signaling_pb";
import { decode } from "../../src/protocol/signaling/messages";
import type { ClientSession, Effect } from "../../src/protocol/signaling/session";

export const HELLO = { hello: { nonce: btoa("n".repeat(32)), serverId: "s" } };
export const AUTHENTICATED = { replyTo: 1, authenticated: {} };
export const REGISTERED = {
  replyTo: 2,
  registered: { epoch: 4, heartbeatIntervalMs: 10_000, iceServers: [{ urls: ["stun:s"] }] },
};

export function bytesOf(message: JsonValue): Uint8Array {
  return toBinary(ServerMessageSchema, fromJson(ServerMessageSchema, message));
}

/** Has a session take a message; what follows. */
export async function say(session: ClientSession, message: JsonValue): Promise<readonly Effect[]> {
  return session.take(await decode(bytesOf(message)));
}

/** What of these is sent. */
export function sent(effects: readonly Effect[]): ClientMessage[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" ? [fromBinary(ClientMessageSchema, effect.data)] : [],
  );
}
