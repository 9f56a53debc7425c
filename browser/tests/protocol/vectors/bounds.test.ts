// This side's constants are the bounds of `proto/vectors/bounds.json`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_PART_CHARACTERS } from "../../../src/protocol/identity/ids";
import * as payload from "../../../src/protocol/payload";
import * as bounds from "../../../src/protocol/rpc/bounds";
import * as errors from "../../../src/protocol/rpc/call-errors";
import * as envelopes from "../../../src/protocol/rpc/envelopes";
import * as frames from "../../../src/protocol/session/frames";
import * as holding from "../../../src/protocol/session/holding";
import * as latency from "../../../src/protocol/session/latency";
import * as receiver from "../../../src/protocol/session/receiver";
import * as sender from "../../../src/protocol/session/sender";
import * as session from "../../../src/protocol/session/session";
import * as ends from "../../../src/protocol/session/wires/ends";
import * as streams from "../../../src/protocol/streams/halves";
import { vectors } from "../../kit/vectors";

const HELD: Record<string, Record<string, number>> = {
  session: {
    version: frames.VERSION,
    lanes: frames.LANES,
    wire_message: payload.WIRE_MESSAGE_BYTES,
    wire_message_websocket: payload.MAX_WIRE_MESSAGE_BYTES[payload.WireKind.WEBSOCKET],
    fragment: frames.FRAGMENT_BYTES,
    fragments: frames.MAX_FRAGMENTS,
    message: payload.MAX_MESSAGE_BYTES,
    acks: session.MAX_ACKS,
    words: ends.MAX_WORDS,
    ungreeted: ends.MAX_UNGREETED,
    ungreeted_bytes: ends.MAX_UNGREETED_BYTES,
    window_frames: sender.WINDOW_FRAMES,
    window_bytes: sender.WINDOW_BYTES,
    held: holding.HELD_BYTES,
    latency_window: latency.WINDOW,
    hello_every: 1000 * ends.HELLO_EVERY,
    ack_every: receiver.ACK_EVERY,
    ack_within: 1000 * receiver.ACK_WITHIN,
    lifetime: 1000 * payload.LIFETIME,
  },
  envelopes: {
    id: bounds.MAX_ID_CHARS,
    route_key: bounds.MAX_ROUTE_CHARS,
    metadata_entries: bounds.MAX_METADATA_ENTRIES,
    metadata: bounds.MAX_METADATA_BYTES,
    call_chain: bounds.MAX_CALL_CHAIN,
    traceparent: bounds.MAX_TRACEPARENT_CHARS,
    tracestate: bounds.MAX_TRACESTATE_CHARS,
    call_number: bounds.MAX_CALL_NUMBER.toString(2).length,
    timeout: envelopes.MAX_TIMEOUT,
    fields: bounds.MAX_FIELDS,
    unknown: bounds.MAX_UNKNOWN_BYTES,
    error: bounds.MAX_ERROR_BYTES,
    error_text: errors.MAX_ERROR_CHARS,
    error_details: errors.MAX_DETAILS_BYTES,
    error_domain: errors.MAX_DOMAIN_CHARS,
  },
};

/** The numbers of a group, by name. */
function listed(group: string): Record<string, number> {
  return Object.fromEntries(vectors("bounds", group).map((row) => [row.name, row.value]));
}

for (const [group, held] of Object.entries(HELD)) {
  test(`each bound is this side's: ${group}`, () => {
    assert.deepEqual(held, listed(group));
  });
}

test("bounds of ids and of what a reader grants are this side's", () => {
  const ids = listed("ids");
  assert.equal(MAX_PART_CHARACTERS, ids.part);
  assert.equal(4 * MAX_PART_CHARACTERS + 3, ids.id_text);
  const { window, window_bytes, grant_every, grant_every_bytes } = listed("streams");
  assert.deepEqual(
    [streams.WINDOW, streams.WINDOW_BYTES, streams.GRANT_EVERY, streams.GRANT_EVERY_BYTES],
    [window, window_bytes, grant_every, grant_every_bytes],
  );
});
