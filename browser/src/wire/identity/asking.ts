// What a page asks its issuer for, and with what leave.
//
// A key that the issuer takes no more, as somebody logged out or has logged in elsewhere, is enrolled
// anew, or replaced, by a join token: once for each load of the page, so that two browsers of one person
// do not put each other out for ever.

import { ConfigError, type PeerError, UnreachableError } from "../../errors";
import { utf8 } from "../../protocol/bytes";
import type { Leave, Refusal } from "../../protocol/identity/asking";
import type { Certificate } from "../../protocol/identity/certificates";
import type { ActrId } from "../../protocol/identity/ids";
import type { IssuerClock } from "./clock";
import type { IssuerClient } from "./issuer";
import type { Kept } from "./kept";
import type { OwnIdentity } from "./own";

const MAX_TOKEN_CHARACTERS = 4096;

/** Where certificates are kept, for other tabs and the next load of the page. */
export interface Shelf {
  /** The text of the newest one; empty: there is none. */
  find(): Promise<string>;
  keep(certificate: string, issuerKeys: ReadonlyMap<string, Uint8Array>): Promise<void>;
  /** Another key in place of the one that is kept; undefined: none is kept. */
  replace?(): Promise<Pick<Kept, "key" | "raw">>;
}

export interface AskingOptions {
  readonly actor: ActrId;
  /** `manufacturer:name@instance`, each of them perhaps `*`, for which a certificate is asked. */
  readonly subject: string;
  readonly identity: OwnIdentity;
  readonly client: IssuerClient;
  readonly clock: IssuerClock;
  readonly shelf: Shelf;
  /** Asked for a join token each time that one is needed. */
  readonly token: () => Promise<string> | string;
  /** The realm's secret, in place of one; empty: there is none. */
  readonly secret: string;
}

/** What it needs of who has it. */
interface Shell {
  /** Does this with no bound on its time. */
  unhurried<T>(work: () => Promise<T>): Promise<T>;
  /** Told of a key that is taken no more, before it is enrolled anew. */
  failed(error: PeerError): void;
}

export class Asking {
  /** When the issuer was asked last, by its clock: by then there was a token, however long that took. */
  askedAt = 0;
  #hasHealed = false;

  constructor(
    readonly options: AskingOptions,
    readonly shell: Shell,
  ) {}

  /** Renews a certificate that there was; enrols where there never was one, or the issuer has forgotten the key. */
  async ask(): Promise<Certificate | Refusal> {
    const { client, clock, identity } = this.options;
    if (identity.certificate === "") {
      return this.#enrol(await this.#leave());
    }
    this.askedAt = clock.now();
    const given = await client.renew(identity);
    if ("kind" in given && ["superseded", "revoked"].includes(given.cause)) {
      return this.#heal(given); // known, and taken no more
    }
    const isForgotten = "kind" in given && given.cause === "unknown-key";
    return isForgotten ? this.#enrol(await this.#leave()) : given;
  }

  /** Enrols anew a key that another one has put out, and another key for one that was revoked. */
  async #heal(refusal: Refusal): Promise<Certificate | Refusal> {
    const { identity, shelf } = this.options;
    const isRevoked = refusal.cause === "revoked";
    if (this.#hasHealed || (isRevoked && shelf.replace === undefined)) {
      return refusal;
    }
    const error = this.refused(refusal);
    this.shell.failed(error);
    const leave = await this.#leave(error);
    if (isRevoked) {
      identity.become(await shelf.replace!());
      this.#hasHealed = true; // from now on the new key is enrolled, until it is
    }
    const given = await this.#enrol(leave);
    // An issuer that was away, or is asked too often, has put nobody out: that is no try.
    this.#hasHealed ||= !("kind" in given) || given.isFinal;
    return given;
  }

  #enrol(leave: Leave): Promise<Certificate | Refusal> {
    const { client, clock, identity, subject, actor } = this.options;
    this.askedAt = clock.now();
    return client.enrol(identity, { subject, realm: actor.realm }, leave);
  }

  /** @param why a key that was good is enrolled again */
  async #leave(why?: ConfigError): Promise<Leave> {
    const { secret } = this.options;
    return secret ? { secret: utf8(secret) } : { token: await this.#token(why) };
  }

  /** The issuer says no, and what a person can do about it. */
  refused({ cause, text }: Refusal): ConfigError {
    const { client, actor, subject } = this.options;
    const hints: Record<string, string> = {
      superseded: `; ${subject} was enrolled in another browser since: log in again and load the page again, which ends it there`,
      revoked: `; ${subject} was logged out: log in again and load the page again`,
    };
    return new ConfigError(`the issuer ${client.url} gives ${actor} no certificate: ${text}${hints[cause] ?? ""}`);
  }

  async #token(why?: ConfigError): Promise<string> {
    let token: unknown;
    try {
      token = await this.shell.unhurried(async () => this.options.token());
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new UnreachableError("a join token of this application", text, { cause });
    }
    if (typeof token !== "string" || token === "" || token.length > MAX_TOKEN_CHARACTERS) {
      throw why ?? new ConfigError(
        `the issuer ${this.options.client.url} does not know the key of ${this.options.actor}, and there is no ` +
          "join token: give one with `token`, from where people log in ('actr-issuer token new' makes them)",
      );
    }
    return token;
  }
}
