// What a client and the service say, as tables (`actr/signaling.proto`).

import type * as pb from "../../gen/actr/signaling_pb";
import { type Field, type Plain, type Table, table } from "../protobuf";
import { ACTR_ID } from "../rpc/tables";
import { NEGOTIATE } from "../webrtc/tables";

export type ServerMessage = Plain<pb.ServerMessage>;
export type ClientMessage = Plain<pb.ClientMessage>;
export type Presence = Plain<pb.Presence>;
export type Register = Plain<pb.Register>;
export type IceServer = Plain<pb.IceServer>;

const NOTHING: Table<any> = { fields: [] };

const ACTR_TYPE: Table<any> = { fields: [{ number: 1, name: "actrType", type: "string" }] };

const FINGERPRINT = table<pb.ServiceFingerprint>([
  { number: 1, name: "service", type: "string" },
  { number: 2, name: "fingerprint", type: "string" },
]);

const SIGNED_REGISTRATION = table<pb.SignedRegistration>([
  { number: 1, name: "register", type: "bytes" },
  { number: 2, name: "certificate", type: "bytes" },
  { number: 3, name: "signature", type: "bytes" },
]);

/** What `Register` and `Presence` have alike. */
const SAID: readonly Field[] = [
  { number: 1, name: "id", type: ACTR_ID },
  { number: 2, name: "wsAddress", type: "string" },
  { number: 3, name: "services", type: FINGERPRINT, isRepeated: true },
  { number: 4, name: "incarnation", type: "fixed64" },
  { number: 5, name: "metadata", type: "map" },
];

export const REGISTER = table<pb.Register>([
  ...SAID,
  { number: 6, name: "visibility", type: "int32" },
  { number: 7, name: "allowedRealms", type: "string", isRepeated: true },
  { number: 8, name: "signed", type: SIGNED_REGISTRATION },
  { number: 9, name: "onlyIfFree", type: "bool" },
  { number: 10, name: "signedAtMs", type: "uint64" },
]);

const LOAD = table<pb.Load>([
  { number: 1, name: "mailboxBacklog", type: "uint32" },
  { number: 2, name: "powerReserve", type: "float" },
]);

export const PRESENCE = table<pb.Presence>([
  ...SAID,
  { number: 6, name: "load", type: LOAD },
  { number: 7, name: "epoch", type: "uint64" },
  { number: 8, name: "signed", type: SIGNED_REGISTRATION },
]);

const AUTHENTICATE = table<pb.Authenticate>([
  { number: 1, name: "id", type: ACTR_ID },
  { number: 2, name: "mac", type: "bytes" },
  { number: 3, name: "certificate", type: "bytes" },
  { number: 4, name: "signature", type: "bytes" },
]);

const DISCOVER = table<pb.Discover>([
  { number: 1, name: "actrType", type: "string" },
  { number: 2, name: "service", type: "string" },
  { number: 3, name: "fingerprint", type: "string" },
  { number: 4, name: "stickiness", type: "string" },
  { number: 5, name: "limit", type: "uint32" },
  { number: 6, name: "id", type: ACTR_ID },
  { number: 7, name: "after", type: "string" },
]);

const RELAY = table<pb.Relay>([
  { number: 1, name: "to", type: ACTR_ID },
  { number: 2, name: "negotiate", type: NEGOTIATE },
]);

export const CLIENT_MESSAGE = table<pb.ClientMessage>([
  { number: 1, name: "id", type: "uint64" },
  { number: 2, name: "authenticate", type: AUTHENTICATE, oneof: "body" },
  { number: 3, name: "register", type: REGISTER, oneof: "body" },
  { number: 4, name: "heartbeat", type: { fields: [{ number: 1, name: "load", type: LOAD }] }, oneof: "body" },
  { number: 5, name: "subscribe", type: ACTR_TYPE, oneof: "body" },
  { number: 6, name: "unsubscribe", type: ACTR_TYPE, oneof: "body" },
  { number: 7, name: "discover", type: DISCOVER, oneof: "body" },
  { number: 8, name: "relay", type: RELAY, oneof: "body" },
  { number: 9, name: "unregister", type: NOTHING, oneof: "body" },
]);

const HELLO = table<pb.ServerHello>([
  { number: 1, name: "nonce", type: "bytes" },
  { number: 2, name: "serverId", type: "string" },
  { number: 3, name: "proofRequired", type: "bool" },
  { number: 4, name: "maxMessageBytes", type: "uint32" },
  { number: 5, name: "timeMs", type: "uint64" },
  { number: 6, name: "certificateRequired", type: "bool" },
]);

const ICE_SERVER = table<pb.IceServer>([
  { number: 1, name: "urls", type: "string", isRepeated: true },
  { number: 2, name: "username", type: "string" },
  { number: 3, name: "credential", type: "string" },
  { number: 4, name: "ttlS", type: "uint32" },
]);

const REGISTERED = table<pb.Registered>([
  { number: 1, name: "sessionId", type: "string" },
  { number: 2, name: "epoch", type: "uint64" },
  { number: 3, name: "heartbeatIntervalMs", type: "uint32" },
  { number: 4, name: "iceServers", type: ICE_SERVER, isRepeated: true },
  { number: 5, name: "leaseMs", type: "uint32" },
  { number: 6, name: "tookOver", type: "bool" },
]);

const HEARTBEAT_ACK = table<pb.HeartbeatAck>([
  { number: 1, name: "iceServers", type: ICE_SERVER, isRepeated: true },
]);

const SNAPSHOT = table<pb.PresenceSnapshot>([
  { number: 1, name: "actrType", type: "string" },
  { number: 2, name: "version", type: "uint64" },
  { number: 3, name: "present", type: PRESENCE, isRepeated: true },
]);

const EVENT = table<pb.PresenceEvent>([
  { number: 1, name: "kind", type: "int32" },
  { number: 2, name: "version", type: "uint64" },
  { number: 3, name: "presence", type: PRESENCE },
  { number: 4, name: "reason", type: "int32" },
]);

const DISCOVERED = table<pb.Discovered>([
  { number: 1, name: "found", type: PRESENCE, isRepeated: true },
  { number: 2, name: "next", type: "string" },
]);

const UNDELIVERED = table<pb.Undelivered>([
  { number: 1, name: "reason", type: "int32" },
  { number: 2, name: "to", type: ACTR_ID },
]);

const RELAYED = table<pb.Relayed>([
  { number: 1, name: "from", type: ACTR_ID },
  { number: 2, name: "negotiate", type: NEGOTIATE },
  { number: 3, name: "incarnation", type: "fixed64" },
]);

const REPLACED = table<pb.Replaced>([{ number: 1, name: "epoch", type: "uint64" }]);

const GOAWAY = table<pb.GoAway>([
  { number: 1, name: "reconnectAfterMs", type: "uint32" },
  { number: 2, name: "reason", type: "string" },
]);

const ERROR = table<pb.SignalingError>([
  { number: 1, name: "code", type: "uint32" },
  { number: 2, name: "message", type: "string" },
]);

export const SERVER_MESSAGE = table<pb.ServerMessage>([
  { number: 1, name: "replyTo", type: "uint64" },
  { number: 2, name: "hello", type: HELLO, oneof: "body" },
  { number: 3, name: "authenticated", type: NOTHING, oneof: "body" },
  { number: 4, name: "registered", type: REGISTERED, oneof: "body" },
  { number: 5, name: "heartbeatAck", type: HEARTBEAT_ACK, oneof: "body" },
  { number: 6, name: "snapshot", type: SNAPSHOT, oneof: "body" },
  { number: 7, name: "presence", type: EVENT, oneof: "body" },
  { number: 8, name: "discovered", type: DISCOVERED, oneof: "body" },
  { number: 9, name: "receipt", type: NOTHING, oneof: "body" },
  { number: 10, name: "undelivered", type: UNDELIVERED, oneof: "body" },
  { number: 11, name: "relayed", type: RELAYED, oneof: "body" },
  { number: 12, name: "replaced", type: REPLACED, oneof: "body" },
  { number: 13, name: "goaway", type: GOAWAY, oneof: "body" },
  { number: 14, name: "error", type: ERROR, oneof: "body" },
  { number: 15, name: "done", type: NOTHING, oneof: "body" },
]);
