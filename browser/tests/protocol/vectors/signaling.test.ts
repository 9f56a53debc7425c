// What is said to signaling and heard of it, as proto/vectors/signaling.json has it.

import assert from "node:assert/strict";

import { fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";

import { RemoteProtocolError } from "../../../src/errors";
import type { ClientMessage, Load, Presence, ServerMessage } from "../../../src/gen/actr/signaling_pb";
import { ClientMessageSchema, ServerMessageSchema, Visibility } from "../../../src/gen/actr/signaling_pb";
import { ActrId } from "../../../src/protocol/identity/ids";
import { decode } from "../../../src/protocol/signaling/messages";
import type { Request } from "../../../src/protocol/signaling/requests";
import { encode } from "../../../src/protocol/signaling/requests";
import { unpackNegotiate } from "../../../src/protocol/webrtc/messages";
import { each, hex, unhex } from "../../kit/vectors";

/** The client's own value for what a vector says. */
function requestOf({ body }: ClientMessage): Request {
  switch (body.case) {
    case "authenticate": {
      const { id, mac, certificate, signature } = body.value;
      return { kind: body.case, id: ActrId.fromMessage(id!), mac, certificate, signature };
    }
    case "register": {
      const { id, incarnation, wsAddress, services, metadata, visibility } = body.value;
      const { allowedRealms, onlyIfFree, signed, signedAtMs } = body.value;
      const registration = {
        id: ActrId.fromMessage(id!),
        incarnation,
        wsAddress,
        services: services.map(({ service, fingerprint }) => [service, fingerprint] as const),
        metadata,
        isHidden: visibility === Visibility.HIDDEN,
        allowedRealms,
        takesOver: !onlyIfFree,
      };
      if (signed === undefined) {
        return { kind: body.case, registration };
      }
      const { register, certificate, signature } = signed;
      return { kind: body.case, registration, signed: { register, certificate, signature, atMs: signedAtMs } };
    }
    case "heartbeat":
      return { kind: body.case, load: loadOf(body.value.load) };
    case "subscribe":
    case "unsubscribe":
      return { kind: body.case, actrType: body.value.actrType };
    case "discover": {
      const { actrType, service, fingerprint, stickiness, limit, id, after } = body.value;
      const asked = { actrType, service, fingerprint, stickiness, limit, after };
      return { kind: body.case, ...asked, ...(id && { id: ActrId.fromMessage(id) }) };
    }
    case "relay": {
      const to = ActrId.fromMessage(body.value.to!);
      return { kind: body.case, to, negotiate: unpackNegotiate(body.value.negotiate!) };
    }
    default:
      return { kind: "unregister" };
  }
}

function loadOf(load: Load | undefined) {
  return { mailboxBacklog: load?.mailboxBacklog ?? 0, powerReserve: load?.powerReserve ?? 0 };
}

function presenceOf(said: Presence) {
  const { id, incarnation, wsAddress, services, metadata, load, epoch } = said;
  return {
    id: ActrId.fromMessage(id!),
    incarnation,
    wsAddress,
    services: services.map(({ service, fingerprint }) => [service, fingerprint]),
    metadata: { ...metadata },
    load: loadOf(load),
    epoch,
  };
}

const CHANGES = ["join", "update", "leave"];
const REASONS = ["none", "closed", "expired", "replaced", "drained", "kicked"];
const WHY = ["unknown", "offline", "not allowed", "expired", "overloaded"];

function bodyOf({ body }: ServerMessage): unknown {
  const { $typeName: _, $unknown: __, ...said } = (body.value ?? {}) as Record<string, any>;
  const iceServers = said["iceServers"]?.map(({ urls, username, credential }: any) => ({
    urls,
    username,
    credential,
  }));
  switch (body.case) {
    case "hello": {
      const { timeMs, ...rest } = body.value;
      const { $typeName: ___, ...hello } = rest;
      return { kind: body.case, ...hello, time: Number(timeMs) / 1000 };
    }
    case "registered": {
      const { sessionId, epoch, tookOver, heartbeatIntervalMs } = body.value;
      const heartbeat = heartbeatIntervalMs / 1000;
      return { kind: body.case, sessionId, epoch, heartbeat, iceServers, tookOver };
    }
    case "heartbeatAck":
      return { kind: body.case, iceServers };
    case "snapshot":
      return { kind: body.case, ...said, present: body.value.present.map(presenceOf) };
    case "discovered":
      return { kind: body.case, ...said, found: body.value.found.map(presenceOf) };
    case "presence": {
      const { kind, reason, version, presence } = body.value;
      const event = { change: CHANGES[kind], reason: REASONS[reason], version };
      return { kind: body.case, ...event, presence: presenceOf(presence!) };
    }
    case "relayed": {
      const { from, negotiate, incarnation } = body.value;
      const source = ActrId.fromMessage(from!);
      return { kind: body.case, source, incarnation, negotiate: unpackNegotiate(negotiate!) };
    }
    case "undelivered":
      return { kind: body.case, reason: WHY[body.value.reason] };
    case "goaway":
      return { kind: body.case, after: body.value.reconnectAfterMs / 1000, reason: body.value.reason };
    case "error":
      return { kind: "refusal", ...said };
    default:
      return { kind: body.case, ...said };
  }
}

each("signaling", "requests", "what a client says is these bytes", (vector) => {
  const wire = fromJson(ClientMessageSchema, vector["json"]);
  const made = fromBinary(ClientMessageSchema, encode(Number(wire.id), requestOf(wire)));
  if (made.body.case === "heartbeat" && wire.body.case === "heartbeat" && wire.body.value.load === undefined) {
    delete made.body.value.load; // a client always says it
  }
  assert.deepEqual(made, wire);
  assert.equal(hex(toBinary(ClientMessageSchema, made)), vector["hex"]);
});

each("signaling", "replies", "what the service says is read to this", async (vector) => {
  const wire = fromJson(ServerMessageSchema, vector["json"]);
  assert.deepEqual(fromBinary(ServerMessageSchema, unhex(vector["hex"])), wire);
  const { replyTo, body } = await decode(unhex(vector["hex"]));
  assert.equal(replyTo, Number(wire.replyTo));
  assert.deepEqual(body, bodyOf(wire));
});

each("signaling", "refused_replies", "what no service says is refused", async (vector) => {
  const isIt = (error: unknown) =>
    error instanceof RemoteProtocolError && error.message.includes(vector["error"]);
  await assert.rejects(decode(unhex(vector["hex"])), isIt);
});

each("signaling", "ignored_replies", "what a client cannot use is passed over", async (vector) => {
  assert.equal((await decode(unhex(vector["hex"]))).body, undefined);
});
