// The messages of lanes, as tables (`actr/envelope.proto`).

import type * as pb from "../../gen/actr/envelope_pb";
import { type Field, type Plain, type Table, table } from "../protobuf";

/** `Any` as its bytes: most are only handed on. */
export interface RpcError extends Omit<Plain<pb.RpcError>, "details"> {
  details: Uint8Array[];
}

export interface RpcEnvelope extends Omit<Plain<pb.RpcEnvelope>, "error" | "direction"> {
  direction: number;
  error?: RpcError | undefined;
}

type Control = Plain<pb.StreamChunk>["control"];

export interface StreamChunk extends Omit<Plain<pb.StreamChunk>, "control"> {
  control: Exclude<Control, { case: "error" }> | { case: "error"; value: RpcError };
}

export const ANY: Table<{ typeUrl: string; value: Uint8Array }> = {
  fields: [
    { number: 1, name: "typeUrl", type: "string" },
    { number: 2, name: "value", type: "bytes" },
  ],
};

export const ACTR_ID = table<pb.ActrId>(
  ["manufacturer", "name", "instance", "realm"].map(
    (name, index): Field => ({ number: index + 1, name, type: "string" }),
  ),
);

export const RPC_ERROR: Table<RpcError> = {
  fields: [
    { number: 1, name: "code", type: "int32" },
    { number: 2, name: "message", type: "string" },
    { number: 3, name: "details", type: "bytes", isRepeated: true },
    { number: 4, name: "retryable", type: "bool" },
    { number: 5, name: "retryAfterMs", type: "uint32" },
    { number: 6, name: "domain", type: "string" },
  ],
};

const STREAM_OPEN = table<pb.StreamOpen>([
  { number: 1, name: "channelId", type: "string" },
  { number: 2, name: "creditMessages", type: "uint32" },
  { number: 3, name: "creditBytes", type: "uint64" },
]);

const STREAM_CREDIT = table<pb.StreamCredit>([
  { number: 1, name: "messages", type: "uint32" },
  { number: 2, name: "bytes", type: "uint64" },
]);

export const RPC_ENVELOPE: Table<RpcEnvelope> = {
  fields: [
    { number: 1, name: "requestId", type: "string" },
    { number: 2, name: "direction", type: "int32" },
    { number: 3, name: "routeKey", type: "string" },
    { number: 4, name: "payload", type: "bytes" },
    { number: 5, name: "error", type: RPC_ERROR },
    { number: 6, name: "metadata", type: "map" },
    { number: 7, name: "timeoutMs", type: "uint32" },
    { number: 8, name: "traceparent", type: "string" },
    { number: 9, name: "tracestate", type: "string" },
    { number: 10, name: "stream", type: STREAM_OPEN },
    { number: 11, name: "callNumber", type: "uint64" },
    { number: 12, name: "lowWater", type: "uint64" },
    { number: 13, name: "storeId", type: "fixed64" },
    { number: 14, name: "callChain", type: "string", isRepeated: true },
    { number: 15, name: "contract", type: "fixed64" },
  ],
};

export const STREAM_CHUNK: Table<StreamChunk> = {
  fields: [
    { number: 1, name: "channelId", type: "string" },
    { number: 2, name: "sequence", type: "uint64" },
    { number: 3, name: "data", type: "bytes" },
    { number: 4, name: "metadata", type: "map" },
    { number: 5, name: "end", type: "bool", oneof: "control" },
    { number: 6, name: "error", type: RPC_ERROR, oneof: "control" },
    { number: 7, name: "cancel", type: "bool", oneof: "control" },
    { number: 8, name: "credit", type: STREAM_CREDIT, oneof: "control" },
    { number: 9, name: "opening", type: "uint64" },
    { number: 10, name: "sentAt", type: "uint64" },
  ],
};
