// The steps of a negotiation, as tables (`actr/signaling.proto`).

import type * as pb from "../../gen/actr/signaling_pb";
import { type Plain, table } from "../protobuf";
import { ACTR_ID } from "../rpc/tables";

export type Negotiate = Plain<pb.Negotiate>;
export type DescriptionStatement = Plain<pb.DescriptionStatement>;

const SESSION_DESCRIPTION = table<pb.SessionDescription>([
  { number: 1, name: "sdp", type: "string" },
  { number: 2, name: "trackIds", type: "map" },
]);

const ICE_CANDIDATE = table<pb.IceCandidate>([
  { number: 1, name: "candidate", type: "string" },
  { number: 2, name: "sdpMid", type: "string" },
  { number: 3, name: "sdpMLineIndex", type: "uint32" },
]);

const REQUEST_OFFER = table<pb.RequestOffer>([
  { number: 1, name: "cause", type: "int32" },
  { number: 2, name: "tracks", type: "map" },
]);

const BYE = table<pb.Bye>([{ number: 1, name: "reason", type: "string" }]);

export const NEGOTIATE = table<pb.Negotiate>([
  { number: 1, name: "connectionId", type: "string" },
  { number: 2, name: "exchange", type: "uint32" },
  { number: 3, name: "offer", type: SESSION_DESCRIPTION, oneof: "body" },
  { number: 4, name: "answer", type: SESSION_DESCRIPTION, oneof: "body" },
  { number: 5, name: "candidate", type: ICE_CANDIDATE, oneof: "body" },
  { number: 6, name: "requestOffer", type: REQUEST_OFFER, oneof: "body" },
  { number: 7, name: "bye", type: BYE, oneof: "body" },
  { number: 8, name: "wire", type: table<pb.RelayedWire>([]), oneof: "body" },
  { number: 15, name: "signature", type: "bytes" },
  { number: 16, name: "statement", type: "bytes" },
  { number: 17, name: "certificate", type: "bytes" },
]);

export const DESCRIPTION_STATEMENT = table<pb.DescriptionStatement>([
  { number: 1, name: "connectionId", type: "string" },
  { number: 2, name: "exchange", type: "uint32" },
  { number: 3, name: "from", type: ACTR_ID },
  { number: 4, name: "to", type: ACTR_ID },
  { number: 5, name: "fromIncarnation", type: "fixed64" },
  { number: 6, name: "toIncarnation", type: "fixed64" },
  { number: 7, name: "kind", type: "int32" },
  { number: 8, name: "descriptionSha256", type: "bytes" },
  { number: 9, name: "offerSha256", type: "bytes" },
  { number: 10, name: "timeMs", type: "uint64" },
]);
