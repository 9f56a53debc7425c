// Certificates and issuers' keys, as proto/vectors/certificates.json has them.

import assert from "node:assert/strict";

import { CertificateError, ConfigError } from "../../../src/errors";
import { utf8 } from "../../../src/protocol/bytes";
import { covers, readCertificate, verifyCertificate } from "../../../src/protocol/identity/certificates";
import { ActrId } from "../../../src/protocol/identity/ids";
import { keyId, readKeys, toJwk } from "../../../src/protocol/identity/keys";
import { readRevoked } from "../../../src/protocol/identity/revoked";
import { webCrypto } from "../../../src/wire/crypto";
import { keysOf } from "../../kit/identities";
import type { Vector } from "../../kit/vectors";
import { each, hex, unhex } from "../../kit/vectors";

function verified(vector: Vector) {
  return verifyCertificate(webCrypto, utf8(vector["certificate"]), keysOf(vector["keys"]), vector["now"]);
}

each("certificates", "accepted", "what is taken says this", async (vector) => {
  const read = await verified(vector);
  const said = {
    issuer: read.issuer,
    subject: read.subject,
    realm: read.realm,
    issued_at: read.issuedAt,
    not_before: read.notBefore,
    expires_at: read.expiresAt,
    serial: read.serial,
    key: hex(read.key),
    claims: Object.fromEntries(read.claims),
    certificate: read.text,
  };
  for (const [name, value] of Object.entries(said)) {
    assert.deepEqual(value, vector[name], name);
  }
  assert.deepEqual(readCertificate(utf8(vector["certificate"])), read);
});

each("certificates", "refused", "what is refused is refused for this fault", async (vector) => {
  const isIt = (error: unknown) => error instanceof CertificateError && error.fault === vector["fault"];
  await assert.rejects(verified(vector), isIt);
});

each("certificates", "covers", "a certificate covers the ids of its pattern", (vector) => {
  const { subject, realm, id } = vector;
  assert.equal(covers({ subject, realm }, ActrId.parse(id)), vector["covers"]);
});

each("certificates", "issuer_keys", "a file of issuer keys is read", (vector) => {
  assert.deepEqual(readKeys(vector["text"]), keysOf(vector["keys"]));
});

each("certificates", "malformed_issuer_keys", "what is no such file is refused", (vector) => {
  assert.throws(() => readKeys(vector["text"]), ConfigError);
});

each("certificates", "key_names", "a key is called by its hash", async (vector) => {
  const key = unhex(vector["key"]);
  const kid = await keyId(webCrypto, key);
  assert.equal(kid, vector["kid"]);
  assert.deepEqual(readKeys(JSON.stringify({ keys: [{ ...toJwk(key), kid }] })), new Map([[kid, key]]));
});

each("certificates", "revoked", "what an issuer has revoked is read", (vector) => {
  const read = readRevoked(vector["text"]);
  assert.deepEqual(new Set(read.keys.map(hex)), new Set(vector["keys"]));
  assert.deepEqual(read.serials, new Set(vector["serials"]));
});

each("certificates", "no_revoked", "what is no such list is refused", (vector) => {
  assert.throws(() => readRevoked(vector["text"]), ConfigError);
});
