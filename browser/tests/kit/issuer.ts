// An issuer for tests, and actors with its certificates.

import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

import { utf8 } from "../../src/protocol/bytes";
import { encode } from "../../src/protocol/identity/base64url";
import { verifyCertificate } from "../../src/protocol/identity/certificates";
import type { Certified } from "../../src/protocol/identity/identity";
import type { ActrId } from "../../src/protocol/identity/ids";
import { keyId, toJwk } from "../../src/protocol/identity/keys";
import { REGISTER, signedText } from "../../src/protocol/identity/signatures";
import type { Registration } from "../../src/protocol/signaling/presence";
import { writeRegister } from "../../src/protocol/signaling/requests";
import type { Presence } from "../../src/protocol/signaling/tables";
import { signedReader } from "../../src/protocol/signaling/signed";
import { webCrypto } from "../../src/wire/crypto";
import { OwnIdentity } from "../../src/wire/identity/own";
import { python } from "./services";

/** A join token of a real issuer, whose register is in `home`, for an id or a pattern of ids. */
export function token(home: string, subject: string, ...more: string[]): string {
  const verb = ["-m", "actr_signaling.issuer", "token", "new", subject, ...more];
  const env = { ...process.env, ACTR_ISSUER__HOME: home };
  return execFileSync(resolve(python), verb, { env, encoding: "utf8" }).trim();
}

const { subtle } = globalThis.crypto;

async function newKey(): Promise<{ key: CryptoKey; raw: Uint8Array }> {
  const pair = (await subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  return { key: pair.privateKey, raw: new Uint8Array(await subtle.exportKey("raw", pair.publicKey)) };
}

/** Signs what it is asked to, for 900 seconds from `now`. */
export class Issuer {
  #key!: CryptoKey;
  keys!: ReadonlyMap<string, Uint8Array>;

  private constructor(public now: number) {}

  static async make(now: number): Promise<Issuer> {
    const issuer = new Issuer(now);
    const { key, raw } = await newKey();
    issuer.#key = key;
    issuer.keys = new Map([[await keyId(webCrypto, raw), raw]]);
    return issuer;
  }

  async issue(id: ActrId, key: Uint8Array, subject = `${id.actrType}@${id.instance}`): Promise<string> {
    const [kid] = this.keys.keys();
    const payload = {
      iss: "tests",
      sub: subject,
      realm: id.realm,
      cnf: { jwk: toJwk(key) },
      claims: {},
      iat: this.now,
      nbf: this.now,
      exp: this.now + 900,
      jti: "c1",
    };
    const parts = [{ alg: "EdDSA", kid, typ: "actr+jwt" }, payload];
    const text = parts.map((part) => encode(utf8(JSON.stringify(part)))).join(".");
    const signature = await subtle.sign("Ed25519", this.#key, utf8(text) as Uint8Array<ArrayBuffer>);
    return `${text}.${encode(new Uint8Array(signature))}`;
  }

  /** An actor with a certificate, which believes this issuer. */
  async enrol(id: ActrId): Promise<Holder> {
    const identity = await OwnIdentity.make();
    identity.certificate = await this.issue(id, identity.raw);
    return new Holder(this, id, identity);
  }
}

export class Holder implements Certified {
  readonly isRequired = true;

  constructor(
    readonly issuer: Issuer,
    readonly id: ActrId,
    readonly identity: OwnIdentity,
  ) {}

  now(): number {
    return this.issuer.now;
  }

  verify(data: Uint8Array) {
    return verifyCertificate(webCrypto, data, this.issuer.keys, this.now());
  }

  reader(refused: (actor: ActrId, why: string) => void) {
    return signedReader(webCrypto, this, refused);
  }

  /** As the service shows this actor, which has signed what it says. */
  async presence(said: Omit<Registration, "id">, at = this.now()): Promise<Presence> {
    const register = writeRegister({ ...said, id: this.id }, BigInt(at * 1000));
    const signature = await this.identity.sign(signedText(REGISTER, register));
    const { incarnation, wsAddress = "", services = [], metadata = {} } = said;
    return {
      id: this.id.toMessage(),
      incarnation,
      wsAddress,
      services: services.map(([service, fingerprint]) => ({ service, fingerprint })),
      metadata: { ...metadata },
      epoch: 1n,
      signed: { register, certificate: utf8(this.identity.certificate), signature },
    };
  }
}
