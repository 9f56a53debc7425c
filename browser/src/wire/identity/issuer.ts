// Asks an issuer by `fetch`; keeps nothing.

import { PeerError, RemoteProtocolError, UnreachableError } from "../../errors";
import type { Answer, Leave, ProvingKey, Refusal, Subject } from "../../protocol/identity/asking";
import { enrol, MAX_ANSWER_BYTES, readGiven, readNonce, readRefusal, renew } from "../../protocol/identity/asking";
import type { Certificate } from "../../protocol/identity/certificates";
import type { Primitives } from "../../protocol/identity/identity";
import { readKeys } from "../../protocol/identity/keys";
import { MAX_REVOKED_BYTES, readRevoked, type Revoked } from "../../protocol/identity/revoked";

const ANSWER_SECONDS = 10;

/** Every question rejects with `UnreachableError` where no answer comes, or one that cannot be read. */
export class IssuerClient {
  /** @param url `https://host:port/path`, before `/v1` */
  constructor(
    readonly url: string,
    readonly primitives: Primitives,
  ) {}

  /** A certificate for a key that the issuer may not know yet. */
  async enrol(key: ProvingKey, who: Subject, leave: Leave): Promise<Certificate | Refusal> {
    return this.#given("/v1/enrol", (nonce) => enrol(this.primitives, key, who, nonce, leave));
  }

  /** Another certificate for a key that it knows. */
  async renew(key: ProvingKey): Promise<Certificate | Refusal> {
    return this.#given("/v1/renew", (nonce) => renew(key, nonce));
  }

  /** Its public keys, by their names. */
  async keys(): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#read("/v1/keys", MAX_ANSWER_BYTES, readKeys);
  }

  /** What it has revoked. */
  async revoked(): Promise<Revoked> {
    return this.#read("/v1/revoked", MAX_REVOKED_BYTES, readRevoked);
  }

  async #given(path: string, ask: (nonce: Uint8Array) => Promise<string>): Promise<Certificate | Refusal> {
    const first = await this.#ask("/v1/nonce");
    if (first.status !== 200) {
      return readRefusal(first);
    }
    try {
      return readGiven(await this.#ask(path, await ask(readNonce(first))));
    } catch (error) {
      throw error instanceof RemoteProtocolError ? this.#away(error) : error;
    }
  }

  /** What stands there as `read` has it, which throws a `PeerError`: somebody else may have answered. */
  async #read<T>(path: string, most: number, read: (body: string) => T): Promise<T> {
    const answer = await this.#ask(path, undefined, most);
    if (answer.status !== 200) {
      throw this.#away(new RemoteProtocolError(readRefusal(answer).text));
    }
    try {
      return read(answer.body);
    } catch (error) {
      throw error instanceof PeerError ? this.#away(error) : error;
    }
  }

  async #ask(path: string, body?: string, most = MAX_ANSWER_BYTES): Promise<Answer> {
    const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) };
    const signal = AbortSignal.timeout(ANSWER_SECONDS * 1000);
    const common = { headers, signal, redirect: "error", credentials: "omit", cache: "no-cache" } as const;
    try {
      const response = await fetch(this.url + path, body ? { ...common, method: "POST", body } : common);
      const after = response.headers.get("Retry-After") ?? "";
      const retryAfter = /^\d{1,9}$/.test(after) ? Number(after) : 0;
      return { status: response.status, body: await textOf(response, most), retryAfter };
    } catch (error) {
      throw this.#away(error);
    }
  }

  #away(cause: unknown): UnreachableError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new UnreachableError(`the issuer ${this.url}`, why, { cause });
  }
}

/** The body of an answer, of `most` bytes at most: who says more is not read to its end. */
async function textOf(response: Response, most: number): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let [text, size] = ["", 0];
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (done || value === undefined) {
      return text + decoder.decode();
    }
    size += value.length;
    if (size > most) {
      await reader?.cancel();
      throw new RemoteProtocolError(`the issuer's answer is over ${most} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}
