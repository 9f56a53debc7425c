// Certificates: what an issuer says of an actor's key (docs/protocol/trust.md).
//
// A certificate is a JWT (RFC 7519), signed with Ed25519 by a key that its header names. It says for
// which id or pattern of ids of one realm the holder of a key (`cnf`, RFC 7800) may speak, and until
// when. Its text goes through strangers' hands: everything is bounded before it is read, nothing of
// the payload is read before the signature is checked, and no certificate has two texts.

import { CertificateError, CertificateFault } from "../../errors";
import { characters, utf8 } from "../bytes";
import { decode } from "./base64url";
import type { Primitives } from "./identity";
import type { ActrId } from "./ids";
import { PART } from "./ids";
import { fromJwk, isKey, KEY_ID } from "./keys";
import { asObject, readStrictJson } from "./strict-json";

const TYPE = "actr+jwt";
export const MAX_CERTIFICATE_BYTES = 8 * 1024;
/** Seconds from issue to end: what is taken back is good for no longer, wherever nobody is told. */
export const MAX_LIFE = 3600;
/** Seconds by which two clocks may differ. */
export const LEEWAY = 60;
export const MAX_CLAIMS = 16;
/** Of one value; also of the issuer's name. */
export const MAX_CLAIM_CHARACTERS = 256;
export const MAX_CLAIM_VALUES = 16;
const CLAIM = /^[A-Za-z0-9_.-]{1,64}$/;
const SERIAL = /^[A-Za-z0-9_-]{1,64}$/;
const REALM = new RegExp(`^${PART}$`);
const SUBJECT = new RegExp(`^(\\*|${PART}):(\\*|${PART})@(\\*|${PART})$`);
// Control characters, halves of pairs and the like, and all blanks but the plain one.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

export type Claim = string | readonly string[];

/** What an issuer says of the holder of a key. Times are Unix seconds. */
export interface Certificate {
  readonly issuer: string;
  /** `manufacturer:name@instance`; each of the three may be `*`, which is any. */
  readonly subject: string;
  readonly realm: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly serial: string;
  readonly text: string;
}

/** Whether the holder may speak for an id. */
export function covers(certificate: Pick<Certificate, "subject" | "realm">, id: ActrId): boolean {
  const [, ...wanted] = SUBJECT.exec(certificate.subject) ?? [];
  const parts = [id.manufacturer, id.name, id.instance];
  return (
    id.realm === certificate.realm &&
    parts.every((part, at) => wanted[at] === "*" || wanted[at] === part)
  );
}

/**
 * Checks a certificate that came from elsewhere; rejects with `CertificateError` and nothing else.
 *
 * @param data its text, as ASCII
 * @param keys raw public keys of the issuers that are believed, by their names
 * @param now Unix seconds
 */
export async function verifyCertificate(
  primitives: Primitives,
  data: Uint8Array,
  keys: ReadonlyMap<string, Uint8Array>,
  now: number,
): Promise<Certificate> {
  const { certificate } = await checkSignature(primitives, data, keys);
  holdToTime(certificate, now);
  return certificate;
}

/** The same whatever time it is, with the name of the issuer key that has signed it. */
export async function checkSignature(
  primitives: Primitives,
  data: Uint8Array,
  keys: ReadonlyMap<string, Uint8Array>,
): Promise<{ certificate: Certificate; name: string }> {
  const { text, name, payload, signature } = split(data);
  const key = keys.get(name);
  if (key === undefined) {
    throw new CertificateError(
      CertificateFault.UNKNOWN_KEY,
      `a certificate signed with the issuer key ${name}, which is not among those known here ` +
        `(${[...keys.keys()].sort().join(", ") || "none"})`,
    );
  }
  const signed = utf8(text.slice(0, text.lastIndexOf(".")));
  if (!isKey(key) || !(await primitives.verify(key, signature, signed))) {
    throw new CertificateError(
      CertificateFault.BAD_SIGNATURE,
      "a certificate that its issuer did not sign as it is",
    );
  }
  return { certificate: read(payload, text), name };
}

/**
 * Reads a certificate of one's own, from its issuer: nobody's signature is checked, and no time.
 * Throws `CertificateError` if it is malformed, or is to live too long.
 */
export function readCertificate(data: Uint8Array): Certificate {
  const { payload, text } = split(data);
  return read(payload, text);
}

/** The parts, each in its only form, and the name of the key that signed them. */
function split(data: Uint8Array) {
  if (data.length > MAX_CERTIFICATE_BYTES) {
    throw malformed(`${data.length} bytes are over ${MAX_CERTIFICATE_BYTES}`);
  }
  // Other bytes than ASCII make letters that are not of base64url.
  const text = String.fromCharCode(...data);
  const [header, payload, signature, ...more] = text.split(".").map(decode);
  if (!header || !payload || !signature || more.length > 0) {
    throw malformed("not three parts in base64url with dots between");
  }
  const name = keyName(header);
  if (name === undefined) {
    throw malformed(`its header is not alg EdDSA, typ ${TYPE} and a kid, and nothing else`);
  }
  return { text, name, payload, signature };
}

function keyName(header: Uint8Array): string | undefined {
  const { alg, typ, kid, ...others } = asObject(readStrictJson(header)) ?? {};
  const isOurs = alg === "EdDSA" && typ === TYPE && Object.keys(others).length === 0;
  return isOurs && typeof kid === "string" && KEY_ID.test(kid) ? kid : undefined;
}

/** The certificate of a payload; members of other names are passed over. */
function read(payload: Uint8Array, text: string): Certificate {
  const said = asObject(readStrictJson(payload)) ?? {};
  const [issuer, serial] = [textOf(said, "iss"), textOf(said, "jti")];
  if (!isShown(issuer) || !SERIAL.test(serial)) {
    throw malformed("iss or jti is too long, empty or of other characters");
  }
  const [subject, realm] = [textOf(said, "sub"), textOf(said, "realm")];
  if (!SUBJECT.test(subject) || !REALM.test(realm)) {
    throw malformed("sub is not manufacturer:name@instance, or realm no realm");
  }
  const key = fromJwk(objectOf(objectOf(said, "cnf"), "jwk"));
  if (key === undefined) {
    throw malformed("cnf is no Ed25519 public key");
  }
  const issuedAt = timeOf(said, "iat");
  const notBefore = timeOf(said, "nbf");
  const expiresAt = timeOf(said, "exp");
  if (Math.max(issuedAt, notBefore) >= expiresAt) {
    throw malformed("it ends before it begins");
  }
  const claims = readClaims(objectOf(said, "claims"));
  if (expiresAt - issuedAt > MAX_LIFE) {
    throw new CertificateError(
      CertificateFault.TOO_LONG_A_LIFE,
      `a certificate for ${expiresAt - issuedAt} s, where at most ${MAX_LIFE} are taken`,
    );
  }
  return { issuer, subject, realm, key, claims, issuedAt, notBefore, expiresAt, serial, text };
}

type Members = Record<string, unknown>;

function textOf(said: Members, name: string): string {
  const value = said[name];
  if (typeof value !== "string") {
    throw malformed(`${name} is no text`);
  }
  return value;
}

function objectOf(said: Members, name: string): Members {
  const value = asObject(said[name]);
  if (value === undefined) {
    throw malformed(`${name} is no object`);
  }
  return value;
}

function timeOf(said: Members, name: string): number {
  const value = said[name];
  if (typeof value !== "number" || value < 0 || !Number.isSafeInteger(value)) {
    throw malformed(`${name} is no time`);
  }
  return value;
}

function readClaims(claims: Members): ReadonlyMap<string, Claim> {
  const said = Object.entries(claims);
  if (said.length > MAX_CLAIMS || !said.every(([name]) => CLAIM.test(name))) {
    throw malformed(`over ${MAX_CLAIMS} claims, or one with a name that is none`);
  }
  for (const [name, value] of said) {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    if (values.length > MAX_CLAIM_VALUES || !values.every(isShown)) {
      throw malformed(`the claim ${name} is not text, or too much of it`);
    }
  }
  return new Map(said as [string, Claim][]);
}

/** Whether it can be shown and sent on: not empty, not long, no control characters. */
function isShown(value: unknown): boolean {
  return (
    typeof value === "string" &&
    value !== "" &&
    characters(value) <= MAX_CLAIM_CHARACTERS &&
    !UNPRINTABLE.test(value)
  );
}

/** Throws `CertificateError` if a certificate is not one of now, in Unix seconds. */
export function holdToTime(certificate: Certificate, now: number): void {
  const begins = Math.max(certificate.notBefore, certificate.issuedAt);
  if (now < begins - LEEWAY) {
    throw new CertificateError(
      CertificateFault.NOT_YET_VALID,
      `a certificate that begins at ${begins} by its issuer's clock, where the clock here says ` +
        `${now.toFixed()} (Unix seconds): one of the two is ${(begins - now).toFixed()} s wrong`,
    );
  }
  if (now >= certificate.expiresAt + LEEWAY) {
    throw new CertificateError(
      CertificateFault.EXPIRED,
      `a certificate that ended at ${certificate.expiresAt} by its issuer's clock, where the clock ` +
        `here says ${now.toFixed()} (Unix seconds): it was not renewed in time, or one of the two ` +
        "is wrong",
    );
  }
}

function malformed(why: string): CertificateError {
  return new CertificateError(CertificateFault.MALFORMED, `a certificate that is none: ${why}`);
}
