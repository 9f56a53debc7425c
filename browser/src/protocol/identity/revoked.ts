// What an issuer takes back before its time (docs/issuer.md).

import { CertificateError, CertificateFault, ConfigError } from "../../errors";
import { decode, encode } from "./base64url";
import type { Certificate } from "./certificates";
import { isKey } from "./keys";
import { asObject } from "./strict-json";

/** Keys and serial numbers: an issuer drops those whose certificates have ended. */
export const MAX_REVOKED = 262_144;
export const MAX_REVOKED_BYTES = 32 * 1024 * 1024;

/** Keys, and serial numbers of certificates, that nobody is to believe any more. */
export class Revoked {
  readonly #keys: ReadonlySet<string>;

  constructor(
    readonly keys: readonly Uint8Array[] = [],
    readonly serials: ReadonlySet<string> = new Set(),
  ) {
    this.#keys = new Set(keys.map(encode));
  }

  has(certificate: Certificate): boolean {
    return this.#keys.has(encode(certificate.key)) || this.serials.has(certificate.serial);
  }

  /** Throws `CertificateError` if a certificate, or its key, is revoked. */
  refuse(certificate: Certificate): void {
    if (this.has(certificate)) {
      throw new CertificateError(
        CertificateFault.REVOKED,
        `a certificate of ${certificate.subject} that its issuer has revoked, or its key ` +
          `(${certificate.serial}): the actor needs a new key`,
      );
    }
  }
}

/**
 * Reads an issuer's list: `{"revoked": [{"key": …} or {"serial": …}, …], "version": …}`. Throws
 * `ConfigError` if it is not one, or too long.
 */
export function readRevoked(text: string): Revoked {
  const listed = listOf(text);
  if (listed === undefined) {
    throw noList();
  }
  if (listed.length > MAX_REVOKED) {
    throw new ConfigError(`${listed.length} revoked are over ${MAX_REVOKED}`);
  }
  const keys: Uint8Array[] = [];
  const serials = new Set<string>();
  for (const one of listed) {
    const said = asObject(one);
    if (said === undefined) {
      throw noList();
    }
    if ("key" in said) {
      keys.push(keyOf(said["key"]));
    }
    if ("serial" in said) {
      serials.add(String(said["serial"]));
    }
  }
  return new Revoked(keys, serials);
}

function listOf(text: string): unknown[] | undefined {
  try {
    const listed = asObject(JSON.parse(text))?.["revoked"];
    return Array.isArray(listed) ? listed : undefined;
  } catch {
    return undefined;
  }
}

function keyOf(said: unknown): Uint8Array {
  const key = typeof said === "string" ? decode(said) : undefined;
  if (key === undefined || !isKey(key)) {
    throw noList();
  }
  return key;
}

function noList(): ConfigError {
  return new ConfigError(
    "not a list of what an issuer has revoked; write what it has at /v1/revoked",
  );
}
