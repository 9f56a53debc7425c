// The steps of a handshake, as tables (`actr/envelope.proto`).

import type * as pb from "../../gen/actr/envelope_pb";
import { type Init, type Plain, type Table, table } from "../protobuf";
import { ACTR_ID, RPC_ERROR, type RpcError } from "../rpc/tables";

export type WireChallenge = Plain<pb.WireChallenge>;

interface WireWelcome extends Omit<Plain<pb.WireWelcome>, "error"> {
  error?: RpcError | undefined;
}

type Steps = Plain<pb.WireHandshake>["step"];

export interface WireHandshake {
  step: Exclude<Steps, { case: "welcome" }> | { case: "welcome"; value: WireWelcome };
}

export type Step = Init<WireHandshake>["step"];

const HELLO = table<pb.WireHello>([
  { number: 1, name: "version", type: "uint32" },
  { number: 2, name: "from", type: ACTR_ID },
  { number: 3, name: "to", type: ACTR_ID },
  { number: 4, name: "nonce", type: "bytes" },
  { number: 5, name: "certificate", type: "bytes" },
  { number: 6, name: "wireMessageBytes", type: "uint32" },
]);

const CHALLENGE = table<pb.WireChallenge>([
  { number: 1, name: "nonce", type: "bytes" },
  { number: 2, name: "proofRequired", type: "bool" },
  { number: 3, name: "certificate", type: "bytes" },
]);

const PROOF = table<pb.WireProof>([
  { number: 1, name: "mac", type: "bytes" },
  { number: 2, name: "signature", type: "bytes" },
]);

const WELCOME: Table<WireWelcome> = {
  fields: [
    { number: 1, name: "mac", type: "bytes" },
    { number: 2, name: "error", type: RPC_ERROR },
    { number: 3, name: "wireMessageBytes", type: "uint32" },
    { number: 4, name: "signature", type: "bytes" },
  ],
};

export const WIRE_HANDSHAKE: Table<WireHandshake> = {
  fields: [
    { number: 1, name: "hello", type: HELLO, oneof: "step" },
    { number: 2, name: "challenge", type: CHALLENGE, oneof: "step" },
    { number: 3, name: "proof", type: PROOF, oneof: "step" },
    { number: 4, name: "welcome", type: WELCOME, oneof: "step" },
    { number: 5, name: "renewal", type: "bytes", oneof: "step" },
  ],
};
