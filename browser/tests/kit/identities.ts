// Keys and certificates for tests.

import type { Certified } from "../../src/protocol/identity/identity";
import { verifyCertificate } from "../../src/protocol/identity/certificates";
import { webCrypto } from "../../src/wire/crypto";
import { OwnIdentity } from "../../src/wire/identity/own";
import type { Vector } from "./vectors";
import { unhex } from "./vectors";

const PKCS8 = "302e020100300506032b657004220420";

/** The private key of a seed in hex. */
export function keyOf(seed: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", Buffer.from(PKCS8 + seed, "hex"), "Ed25519", false, ["sign"]);
}

export async function holder(seed: string, certificate: string): Promise<OwnIdentity> {
  const own = new OwnIdentity(await keyOf(seed), new Uint8Array());
  own.certificate = certificate;
  return own;
}

export function keysOf(named: Record<string, string>): Map<string, Uint8Array> {
  return new Map(Object.entries(named).map(([name, key]) => [name, unhex(key)]));
}

/** What a side of a vector has; it believes the vector's issuer, at the vector's time. */
export async function certified(vector: Vector, side: string): Promise<Certified> {
  const keys = keysOf(vector.issuer_keys);
  return {
    reader: () => () => Promise.reject(new Error("not read here")),
    identity: await holder(vector[`${side}_seed`], vector[`${side}_certificate`]),
    verify: (data) => verifyCertificate(webCrypto, data, keys, vector.now),
    now: () => vector.now,
    isRequired: true,
  };
}

