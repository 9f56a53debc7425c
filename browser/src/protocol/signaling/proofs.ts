// How an actor proves who it is: by the realm's secret, or by its certificate.

import { concat, utf8 } from "../bytes";
import type { Certified, Primitives } from "../identity/identity";
import type { ActrId } from "../identity/ids";
import { AUTHENTICATE, REGISTER, signedText } from "../identity/signatures";
import type { Hello } from "./messages";
import type { Registration } from "./presence";
import type { Authenticate, Register } from "./requests";
import { writeRegister } from "./requests";

const CONTEXT = "actr/signaling/v1";

/** What one actor can prove. */
export class Proofs {
  readonly secret: Uint8Array | undefined;

  /**
   * @param secret the realm secret; undefined: it has none
   * @param certified its key and certificate; undefined: it has neither
   */
  constructor(
    readonly primitives: Primitives,
    secret?: Uint8Array,
    readonly certified?: Certified,
  ) {
    this.secret = secret?.length ? secret : undefined;
  }

  get hasSecret(): boolean {
    return this.secret !== undefined;
  }

  /**
   * Whether others have to have the realm's secret. On WebRTC the service alone sees whether they do:
   * one that asks for no proof lets anybody in.
   */
  get isSecretRequired(): boolean {
    return this.hasSecret && !this.certified?.isRequired;
  }

  /** The newest certificate; empty: there is none. */
  get certificate(): string {
    return this.certified?.identity.certificate ?? "";
  }

  /** Who it is, to the service that greeted so. */
  async authenticate(id: ActrId, hello: Hello): Promise<Authenticate> {
    const { serverId, nonce, certificateRequired } = hello;
    // To who asks for certificates the secret is of no use: it is not shown what it proves.
    const secret = certificateRequired ? undefined : this.secret;
    const mac = await makeMac(this.primitives, secret, serverId, nonce, id.text);
    if (this.certified === undefined) {
      return { kind: "authenticate", id, mac };
    }
    const { identity } = this.certified;
    const certificate = utf8(identity.certificate);
    const text = signedText(AUTHENTICATE, utf8(serverId), nonce, utf8(id.text));
    return { kind: "authenticate", id, mac, certificate, signature: await identity.sign(text) };
  }

  /** What it says of itself, signed where it can sign. */
  async register(registration: Registration): Promise<Register> {
    if (this.certified === undefined) {
      return { kind: "register", registration };
    }
    const { identity } = this.certified;
    const atMs = BigInt(Math.round(this.certified.now() * 1000));
    const register = writeRegister(registration, atMs);
    const certificate = utf8(identity.certificate);
    const signature = await identity.sign(signedText(REGISTER, register));
    return { kind: "register", registration, signed: { register, certificate, signature, atMs } };
  }
}

/** The proof of the realm secret; empty without one. */
export async function makeMac(
  primitives: Primitives,
  secret: Uint8Array | undefined,
  serverId: string,
  nonce: Uint8Array,
  id: string,
): Promise<Uint8Array> {
  if (!secret?.length) {
    return new Uint8Array();
  }
  return primitives.hmac(secret, concat([utf8(CONTEXT + serverId), nonce, utf8(id)]));
}
