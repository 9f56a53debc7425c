// The bounds of proto/vectors/bounds.json that concern certificates, signaling and the making of wires.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as certificates from "../../../src/protocol/identity/certificates";
import * as keys from "../../../src/protocol/identity/keys";
import * as revoked from "../../../src/protocol/identity/revoked";
import * as messages from "../../../src/protocol/signaling/messages";
import * as reading from "../../../src/protocol/signaling/reading";
import * as candidates from "../../../src/protocol/webrtc/candidates";
import { MAX_CHANNEL_MESSAGE_BYTES } from "../../../src/protocol/webrtc/channels";
import * as handshake from "../../../src/protocol/websocket/handshake";
import * as frames from "../../../src/protocol/websocket/lane-frames";
import { vectors } from "../../kit/vectors";

const HELD: Record<string, Record<string, number>> = {
  certificates: {
    certificate: certificates.MAX_CERTIFICATE_BYTES,
    life: certificates.MAX_LIFE,
    leeway: certificates.LEEWAY,
    claims: certificates.MAX_CLAIMS,
    claim: certificates.MAX_CLAIM_CHARACTERS,
    claim_values: certificates.MAX_CLAIM_VALUES,
    issuer_keys: keys.MAX_KEYS,
    issuer_keys_file: keys.MAX_KEYS_CHARACTERS,
    revoked: revoked.MAX_REVOKED,
    revoked_file: revoked.MAX_REVOKED_BYTES,
  },
  signaling: {
    message: messages.MAX_RELAYED_BYTES,
    sdp: candidates.MAX_SDP_CHARACTERS,
    candidate: candidates.MAX_CANDIDATE_CHARACTERS,
    text: reading.MAX_TEXT,
    services: reading.MAX_SERVICES,
    metadata_entries: reading.MAX_METADATA_ENTRIES,
    metadata_entry: reading.MAX_METADATA_ENTRY_BYTES,
    nonce: messages.NONCE_BYTES,
  },
  websocket: {
    version: handshake.VERSION,
    data: frames.MAX_DATA_BYTES,
    step: frames.MAX_STEP_BYTES,
    nonce: handshake.NONCE_BYTES,
  },
  webrtc: {
    message: MAX_CHANNEL_MESSAGE_BYTES,
    sections: candidates.MAX_SECTIONS,
    candidates: candidates.MAX_PER_DESCRIPTION,
    trickled: candidates.MAX_TRICKLED,
    early: candidates.MAX_EARLY,
  },
};

for (const [group, held] of Object.entries(HELD)) {
  test(`bounds of ${group} are those of the contract`, () => {
    const said = new Map(vectors("bounds", group).map(({ name, value }) => [name, value]));
    for (const [name, value] of Object.entries(held)) {
      assert.equal(value, said.get(name), name);
    }
  });
}
