// Ed25519 public keys: their text, their name, and an issuer's file of them.
//
// It is a JWK set (RFC 7517), {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": …, "x": …}]}; several
// keys are good at once, so that an issuer's key can be replaced with no break.

import { ConfigError } from "../../errors";
import { characters } from "../bytes";
import { decode, encode } from "./base64url";
import type { Primitives } from "./identity";
import { asObject } from "./strict-json";

const KEY_BYTES = 32;
/** In one file: who replaces a key has two, and a replaced one is taken out. */
export const MAX_KEYS = 32;
export const MAX_KEYS_CHARACTERS = 64 * 1024;
export const KEY_ID = /^[A-Za-z0-9_-]{8,64}$/;
/** Of those that are made here: 96 bits of a hash, which nobody finds a second key for. */
const KEY_ID_CHARACTERS = 16;

// Points of small order, without the sign: with one of them as the key, anybody can make a signature
// that is good, for the key takes no part in it.
const WEAK_KEYS: ReadonlySet<string> = new Set(
  [
    "00".repeat(32),
    "01" + "00".repeat(31),
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff".repeat(30) + "7f",
    "ed" + "ff".repeat(30) + "7f",
    "ee" + "ff".repeat(30) + "7f",
  ],
);

/** What a key is called: the beginning of its SHA-256, in base64url. */
export async function keyId(primitives: Primitives, key: Uint8Array): Promise<string> {
  return encode(await primitives.sha256(key)).slice(0, KEY_ID_CHARACTERS);
}

/** Whether these are 32 bytes that only one holder can sign for. */
export function isKey(key: Uint8Array): boolean {
  if (key.length !== KEY_BYTES) {
    return false;
  }
  const shown = [...key].map((byte, at) => (at === KEY_BYTES - 1 ? byte & 0x7f : byte));
  return !WEAK_KEYS.has(shown.map((byte) => byte.toString(16).padStart(2, "0")).join(""));
}

/** A public key as RFC 8037 has it. */
export function toJwk(key: Uint8Array): Record<string, string> {
  return { kty: "OKP", crv: "Ed25519", x: encode(key) };
}

/** The raw key of a JWK; undefined: it is no Ed25519 public key, or one that anybody can sign for. */
export function fromJwk(jwk: Record<string, unknown>): Uint8Array | undefined {
  if ("d" in jwk || !isEd25519(jwk) || typeof jwk["x"] !== "string") {
    return undefined;
  }
  const key = decode(jwk["x"]);
  return key !== undefined && isKey(key) ? key : undefined;
}

function isEd25519(jwk: Record<string, unknown>): boolean {
  return jwk["kty"] === "OKP" && jwk["crv"] === "Ed25519";
}

/**
 * The keys of an issuer's file, by their names; keys of other kinds are passed over. Throws
 * `ConfigError` if it is no such file, names no Ed25519 key or one twice, or has a private one.
 */
export function readKeys(text: string): ReadonlyMap<string, Uint8Array> {
  if (characters(text) > MAX_KEYS_CHARACTERS) {
    throw new ConfigError(`issuer keys: over ${MAX_KEYS_CHARACTERS} characters`);
  }
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError("issuer keys: not JSON; write what the issuer has at /v1/keys", { cause });
  }
  const listed = asObject(tree)?.["keys"];
  if (!Array.isArray(listed) || listed.length > MAX_KEYS) {
    throw new ConfigError(`issuer keys: write {"keys": […]} with at most ${MAX_KEYS} of them`);
  }
  const found = new Map<string, Uint8Array>();
  for (const jwk of listed.map(asObject)) {
    if (jwk !== undefined && isEd25519(jwk)) {
      const [name, key] = readKey(jwk);
      if (found.has(name)) {
        throw new ConfigError(`issuer keys: '${name}' is there twice`);
      }
      found.set(name, key);
    }
  }
  if (found.size === 0) {
    throw new ConfigError("issuer keys: no Ed25519 key in the file");
  }
  return found;
}

function readKey(jwk: Record<string, unknown>): [string, Uint8Array] {
  const name = jwk["kid"];
  if (typeof name !== "string" || !KEY_ID.test(name)) {
    const shown = String(name).slice(0, 64);
    throw new ConfigError(`issuer keys: kid '${shown}': write 8 to 64 letters, digits, '-' or '_'`);
  }
  if ("d" in jwk) {
    throw new ConfigError(
      `issuer keys: '${name}' has its private key: take it out, and make a new`,
    );
  }
  const key = fromJwk(jwk);
  if (key === undefined) {
    throw new ConfigError(`issuer keys: '${name}': x is no Ed25519 public key`);
  }
  return [name, key];
}
