// Keeps a page's certificate alive: asks its issuer, and again in time, for as long as the page is.
//
// An issuer that is away, or refuses, ends nothing by itself: the certificate is good until its end,
// and the application is told how long that is. Timers of a hidden page come late: a certificate is
// asked for when one comes, whenever that is, and when the page is shown again.

import { CertificateError, ConfigError, PeerError, UnreachableError } from "../../errors";
import type { Leave, Refusal } from "../../protocol/identity/asking";
import { type Certificate, covers, readCertificate, verifyCertificate } from "../../protocol/identity/certificates";
import type { ActrId } from "../../protocol/identity/ids";
import type { Primitives } from "../../protocol/identity/identity";
import { Keeping } from "../../protocol/identity/keeping";
import { isEqual, utf8 } from "../../protocol/bytes";
import { monotonic, Nap, Timer } from "../timing";
import type { IssuerClock } from "./clock";
import type { IssuerClient } from "./issuer";
import type { OwnIdentity } from "./own";
import type { Trusted } from "./trusted";

/** Seconds: the longest of its waits. */
const MOST_WAIT = 60;
const START_SECONDS = 10;
const MAX_TOKEN_CHARACTERS = 4096;

/** Where certificates are kept, for other tabs and the next load of the page. */
export interface Shelf {
  /** The text of the newest one; empty: there is none. */
  find(): Promise<string>;
  keep(certificate: string, issuerKeys: ReadonlyMap<string, Uint8Array>): Promise<void>;
}

export interface KeeperOptions {
  readonly actor: ActrId;
  /** `manufacturer:name@instance`, each of them perhaps `*`, for which a certificate is asked. */
  readonly subject: string;
  readonly primitives: Primitives;
  readonly identity: OwnIdentity;
  readonly client: IssuerClient;
  readonly clock: IssuerClock;
  readonly trusted: Trusted;
  readonly shelf: Shelf;
  /** Asked for a join token each time that one is needed. */
  readonly token: () => Promise<string> | string;
  /** The realm's secret, in place of one; empty: there is none. */
  readonly secret: string;
  /** Told of each new certificate. */
  readonly renewed: (certificate: Certificate) => void;
  /** Told of each time that there is none, and for how many seconds the last one is still good. */
  readonly failed: (error: PeerError, left: number) => void;
}

export class Keeper {
  readonly #keeping = new Keeping();
  readonly #nap = new Nap();
  #hasStopped = false;
  #why: PeerError | undefined;
  /** The issuer has given a certificate, or refused one for good. */
  #answered!: () => void;
  readonly #deadline = new Timer();
  /** When the first certificate must have come; the time that a token takes does not count. */
  #startBy = 0;
  #late: (() => void) | undefined;
  readonly #hasAnswered = new Promise<void>((resolve) => (this.#answered = resolve));

  constructor(readonly options: KeeperOptions) {}

  /**
   * Settles when there is a certificate that is good. Rejects with `ConfigError` if the issuer refuses
   * one, with `UnreachableError` if it gives none in time; then nothing runs any more.
   */
  async start(): Promise<void> {
    await this.#find();
    this.#startBy = monotonic() + START_SECONDS;
    void this.#run();
    if (this.#lives) {
      return;
    }
    try {
      await new Promise<void>((resolve, reject) => {
        this.#late = () => reject(this.#why ?? this.#unreachable(`no certificate within ${START_SECONDS} s`));
        this.#deadline.set(this.#startBy - monotonic(), this.#late);
        void this.#hasAnswered.then(resolve);
      });
      if (!this.#lives) {
        throw this.#why;
      }
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      this.#deadline.stop();
      this.#late = undefined;
    }
  }

  /** The page is shown again, or the network is another: what is due is done now. */
  wake(): void {
    if (this.#why !== undefined) {
      this.#keeping.hurry(this.options.clock.now());
    }
    this.#nap.wake();
  }

  stop(): void {
    this.#hasStopped = true;
    this.#nap.wake();
  }

  get #lives(): boolean {
    return this.#keeping.lives(this.options.clock.now());
  }

  async #run(): Promise<void> {
    const { clock } = this.options;
    while (!this.#hasStopped) {
      if (clock.now() >= this.#keeping.at) {
        await this.#ask();
      }
      await this.#nap.sleep(Math.min(Math.max(0, this.#keeping.at - clock.now()), MOST_WAIT));
    }
  }

  /** The certificate that another tab has, or an earlier load of this page; returns whether it is of use. */
  async #find(): Promise<boolean> {
    const { clock, trusted, shelf, identity } = this.options;
    const text = await shelf.find();
    if (text === "" || text === identity.certificate) {
      return false;
    }
    identity.certificate ||= text; // whatever its age: the issuer knows the key
    try {
      const found = readCertificate(utf8(text));
      const isNewer = found.issuedAt > (this.#keeping.certificate?.issuedAt ?? 0);
      if (!isNewer || !this.#isOwn(found)) {
        return false;
      }
      await trusted.verify(utf8(text));
      this.#give(found);
      return this.#keeping.at > clock.now();
    } catch (error) {
      if (error instanceof CertificateError) {
        return false; // another one is asked for
      }
      throw error;
    }
  }

  async #ask(): Promise<void> {
    const { clock, client, actor } = this.options;
    const askedAt = clock.now();
    try {
      if (await this.#find()) {
        return;
      }
      const given = await this.#question();
      if (!("kind" in given)) {
        await this.#take(given, askedAt, clock.now());
      } else if (given.isFinal) {
        this.#note(new ConfigError(`the issuer ${client.url} gives ${actor} no certificate: ${given.text}`));
      } else {
        this.#note(this.#unreachable(given.text), given.retryAfter);
      }
    } catch (error) {
      this.#note(error instanceof PeerError ? error : this.#unreachable(String(error), error));
    }
  }

  /** Renews a certificate that there was; enrols where there never was one, or the issuer has forgotten the key. */
  async #question(): Promise<Certificate | Refusal> {
    const { client, identity, subject, actor, secret } = this.options;
    if (identity.certificate !== "") {
      const given = await client.renew(identity);
      if (!("kind" in given) || given.cause !== "unknown-key") {
        return given;
      }
    }
    const leave: Leave = secret ? { secret: utf8(secret) } : { token: await this.#token() };
    return client.enrol(identity, { subject, realm: actor.realm }, leave);
  }

  async #token(): Promise<string> {
    let token: unknown;
    const askedAt = monotonic();
    try {
      this.#deadline.stop(); // for a person who logs in
      token = await this.options.token();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new UnreachableError("a join token of this application", why, { cause });
    } finally {
      this.#startBy += monotonic() - askedAt;
      if (this.#late !== undefined) {
        this.#deadline.set(this.#startBy - monotonic(), this.#late);
      }
    }
    if (typeof token !== "string" || token === "" || token.length > MAX_TOKEN_CHARACTERS) {
      throw new ConfigError(
        `the issuer ${this.options.client.url} does not know the key of ${this.options.actor}, and there is no ` +
          "join token: give one with `token`, from where people log in ('actr-issuer token new' makes them)",
      );
    }
    return token;
  }

  /** Believes what the issuer has given as others will have to, and takes its time for the time. */
  async #take(certificate: Certificate, askedAt: number, answeredAt: number): Promise<void> {
    const { client, clock, trusted, actor, primitives } = this.options;
    const { subject, realm, issuedAt, text } = certificate;
    if (!this.#isOwn(certificate)) {
      throw new ConfigError(
        `the issuer ${client.url} gives a certificate of another key, or one for ${subject} in realm ` +
          `${realm} and not for ${actor}`,
      );
    }
    const keys = await trusted.ask();
    try {
      await verifyCertificate(primitives, utf8(text), keys, issuedAt);
      this.#holdToOrder(certificate);
      clock.learn(issuedAt, askedAt, answeredAt);
      await trusted.verify(utf8(text));
    } catch (error) {
      if (error instanceof CertificateError) {
        throw new ConfigError(`the issuer ${client.url} gives ${error.message}`, { cause: error });
      }
      throw error;
    }
    this.#give(certificate);
    await this.options.shelf.keep(text, keys).catch((error: unknown) => {
      console.warn("a certificate is not kept:", error); // the next load asks for another
    });
  }

  /** It is no older one, said again: that would set the clock here back. */
  #holdToOrder({ issuedAt, text, serial }: Certificate): void {
    const held = this.#keeping.certificate;
    if (held !== undefined && this.#lives && (issuedAt < held.issuedAt || text === held.text)) {
      const why = "somebody is between, or its clock was set back";
      throw this.#unreachable(`it gives a certificate from before the last one (${serial}): ${why}`);
    }
  }

  #isOwn(certificate: Certificate): boolean {
    const { identity, actor } = this.options;
    return isEqual(certificate.key, identity.raw) && covers(certificate, actor);
  }

  #give(certificate: Certificate): void {
    this.#keeping.given(certificate, this.options.clock.now(), Math.random());
    this.options.identity.certificate = certificate.text;
    this.#why = undefined;
    this.#answered();
    this.options.renewed(certificate);
  }

  /** There is nothing new. */
  #note(error: PeerError, retryAfter = 0): void {
    const now = this.options.clock.now();
    this.#why = error;
    if (error instanceof ConfigError) {
      this.#keeping.refused(now);
      this.#answered();
    } else {
      this.#keeping.away(now, Math.random(), retryAfter);
    }
    this.options.failed(error, this.#keeping.left(now));
  }

  #unreachable(why: string, cause?: unknown): UnreachableError {
    return new UnreachableError(`the issuer ${this.options.client.url}`, why, { cause });
  }
}
