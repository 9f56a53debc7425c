// Requests, responses and the like, as `proto/vectors/envelopes.json` has them.

import assert from "node:assert/strict";

import { RemoteProtocolError } from "../../../src/errors";
import { requestIdOf } from "../../../src/protocol/rpc/bounds";
import { decodeEnvelope } from "../../../src/protocol/rpc/envelopes";
import { fieldsOf, write } from "../../kit/envelopes";
import { each, hex, unhex } from "../../kit/vectors";

each("envelopes", "messages", "an envelope is these fields and these bytes", (vector) => {
  assert.deepEqual(fieldsOf(decodeEnvelope(unhex(vector.hex))), vector.fields);
  assert.equal(hex(write(vector.fields)), vector.hex);
});

each("envelopes", "malformed", "a malformed envelope is refused, its caller told", (vector) => {
  const data = unhex(vector.hex);
  assert.throws(
    () => decodeEnvelope(data),
    (error: Error) => error instanceof RemoteProtocolError && error.message.includes(vector.error),
  );
  assert.equal(requestIdOf(data), vector.answered);
});
