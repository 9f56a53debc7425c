// What an actor asks its issuer over HTTP, and what the answers say (docs/issuer.md).

import { RemoteProtocolError } from "../../errors";
import { utf8 } from "../bytes";
import { decode, encode } from "./base64url";
import type { Certificate } from "./certificates";
import { readCertificate } from "./certificates";
import type { Primitives } from "./identity";
import { signedText } from "./signatures";
import { asObject } from "./strict-json";

/** Parts: nonce, id or pattern, realm, raw public key. */
const ENROL = "actr/issuer/v1/enrol";
/** Parts: nonce, raw public key. */
const RENEW = "actr/issuer/v1/renew";
/** A set of 32 keys, or a certificate. */
export const MAX_ANSWER_BYTES = 128 * 1024;
const NONCE_BYTES = 32;
/** Of what an issuer says for people. */
const MAX_TEXT_CHARACTERS = 512;
/** Causes of a refusal that is none another time. */
const PASSING: readonly string[] = ["nonce", "too-fast"];

/** A key that proves itself. */
export interface ProvingKey {
  /** Raw public key, 32 bytes. */
  readonly raw: Uint8Array;
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Seconds; 0: it does not say. */
  readonly retryAfter: number;
}

/** The issuer says no. */
export interface Refusal {
  readonly kind: "refusal";
  /** One word; empty where it has none. */
  readonly cause: string;
  readonly text: string;
  /** Asking again is of no use until somebody does something. */
  readonly isFinal: boolean;
  readonly retryAfter: number;
}

/** By what a key that is new is enrolled: a join token, or the realm's secret. */
export type Leave = { readonly token: string } | { readonly secret: Uint8Array };

/** For whom a certificate is asked: an id, or a pattern of ids. */
export type Subject = Pick<Certificate, "subject" | "realm">;

/** Asks for a certificate of a new key. */
export async function enrol(
  primitives: Primitives,
  key: ProvingKey,
  { subject, realm }: Subject,
  nonce: Uint8Array,
  leave: Leave,
): Promise<string> {
  const text = signedText(ENROL, nonce, utf8(subject), utf8(realm), key.raw);
  const by = "token" in leave ? leave : { mac: encode(await primitives.hmac(leave.secret, text)) };
  return JSON.stringify({ id: subject, realm, ...(await proven(key, nonce, text)), ...by });
}

/** Asks for another certificate of an enrolled key. */
export async function renew(key: ProvingKey, nonce: Uint8Array): Promise<string> {
  return JSON.stringify(await proven(key, nonce, signedText(RENEW, nonce, key.raw)));
}

async function proven(key: ProvingKey, nonce: Uint8Array, text: Uint8Array) {
  return { key: encode(key.raw), nonce: encode(nonce), proof: encode(await key.sign(text)) };
}

/** The nonce of an answer; throws `RemoteProtocolError` if it has none. */
export function readNonce(answer: Answer): Uint8Array {
  const said = membersOf(answer)["nonce"];
  const nonce = typeof said === "string" ? decode(said) : undefined;
  if (nonce?.length !== NONCE_BYTES) {
    throw new RemoteProtocolError("the issuer gives no nonce");
  }
  return nonce;
}

/** The certificate of an answer, or why there is none; throws `RemoteProtocolError` if it is neither. */
export function readGiven(answer: Answer): Certificate | Refusal {
  if (answer.status !== 200 && answer.status !== 201) {
    return readRefusal(answer);
  }
  const text = membersOf(answer)["certificate"];
  if (typeof text !== "string") {
    throw new RemoteProtocolError("the issuer gives no certificate");
  }
  return readCertificate(utf8(text));
}

/** Why there is nothing, of an answer that gives nothing. */
export function readRefusal(answer: Answer): Refusal {
  const { status, retryAfter } = answer;
  const said = membersOf(answer);
  const isWord = typeof said["cause"] === "string" && /^[a-z-]{1,32}$/.test(said["cause"]);
  const cause = isWord ? String(said["cause"]) : "";
  const detail = typeof said["detail"] === "string" ? said["detail"] : `status ${status}`;
  const text = detail.slice(0, MAX_TEXT_CHARACTERS).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
  const isMine = status >= 400 && status < 500 && status !== 429 && !PASSING.includes(cause);
  // Who says when thinks that it may work then.
  return { kind: "refusal", cause, text, isFinal: isMine && retryAfter === 0, retryAfter };
}

function membersOf({ body }: Answer): Record<string, unknown> {
  try {
    return asObject(JSON.parse(body)) ?? {};
  } catch {
    return {};
  }
}
