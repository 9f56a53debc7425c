// Keeps a page's certificate alive: asks its issuer, and again in time, for as long as the page is.
//
// An issuer that is away, or refuses, ends nothing by itself: the certificate is good until its end,
// and the application is told how long that is. Timers of a hidden page come late: a certificate is
// asked for when one comes, whenever that is, and when the page is shown again. What time it is is the
// latest that it may be: where the device has slept, or its clock was set, the issuer is asked. That may
// be too late by hours for a moment, and so its waits are of a clock that nobody sets.

import { CertificateError, ConfigError, PeerError, UnreachableError } from "../../errors";
import { type Certificate, covers, readCertificate, verifyCertificate } from "../../protocol/identity/certificates";
import type { Primitives } from "../../protocol/identity/identity";
import { Keeping } from "../../protocol/identity/keeping";
import { isEqual, utf8 } from "../../protocol/bytes";
import { monotonic, Nap, Timer } from "../timing";
import { Asking, type AskingOptions } from "./asking";
import type { Trusted } from "./trusted";

/** Seconds: the longest of its waits. */
const MOST_WAIT = 60;
const START_SECONDS = 10;

export interface KeeperOptions extends AskingOptions {
  readonly primitives: Primitives;
  readonly trusted: Trusted;
  /** Told of each new certificate. */
  readonly renewed: (certificate: Certificate) => void;
  /** Told of each time that there is none, and for how many seconds the last one is still good. */
  readonly failed: (error: PeerError, left: number) => void;
}

export class Keeper {
  readonly #keeping = new Keeping();
  readonly #nap = new Nap();
  readonly #asking: Asking;
  #hasStopped = false;
  /** Those who wait for the next answer: whether it was a certificate. */
  #waiting: ((isGiven: boolean) => void)[] = [];
  #why: PeerError | undefined;
  /** The issuer has given a certificate, or refused one for good. */
  #answered!: () => void;
  readonly #deadline = new Timer();
  /** When the first certificate must have come; the time that a token takes does not count. */
  #startBy = 0;
  #late: (() => void) | undefined;
  readonly #hasAnswered = new Promise<void>((resolve) => (this.#answered = resolve));

  constructor(readonly options: KeeperOptions) {
    options.clock.ahead = () => this.#hurry();
    this.#asking = new Asking(options, {
      unhurried: (work) => this.#unhurried(work),
      failed: (error) => this.#tellFailed(error),
    });
  }

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
      this.#hurry();
    } else {
      this.#nap.wake();
    }
  }

  /** Asks the issuer now; settles with whether it gives a certificate. */
  renew(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#hasStopped) {
        resolve(false);
      } else {
        this.#waiting.push(resolve);
        this.#hurry();
      }
    });
  }

  stop(): void {
    this.#hasStopped = true;
    this.#nap.wake();
    this.#tell(false);
  }

  get #lives(): boolean {
    return this.#keeping.lives(this.options.clock.latest());
  }

  /** Seconds until the issuer is to be asked. */
  get #wait(): number {
    const { clock } = this.options;
    return this.#keeping.wait(clock.latest(), clock.steady());
  }

  #hurry(): void {
    this.#keeping.hurry();
    this.#nap.wake();
  }

  #tell(isGiven: boolean): void {
    this.#waiting.splice(0).forEach((each) => each(isGiven));
  }

  async #run(): Promise<void> {
    while (!this.#hasStopped) {
      if (this.#wait <= 0) {
        await this.#ask();
      }
      if (!this.#hasStopped) {
        await this.#nap.sleep(Math.min(Math.max(0, this.#wait), MOST_WAIT));
      }
    }
  }

  /** The certificate that another tab has, or an earlier load of this page; returns whether it is of use. */
  async #find(): Promise<boolean> {
    const { trusted, shelf, identity } = this.options;
    const text = await shelf.find().catch((error: unknown) => {
      console.warn("what is kept cannot be read:", error); // the issuer is asked
      return "";
    });
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
      return this.#wait > 0;
    } catch (error) {
      if (error instanceof CertificateError) {
        return false; // another one is asked for
      }
      throw error;
    }
  }

  async #ask(): Promise<void> {
    try {
      if (await this.#find()) {
        return;
      }
      const given = await this.#asking.ask();
      if (!("kind" in given)) {
        await this.#take(given, this.options.clock.now());
      } else if (given.isFinal) {
        this.#note(this.#asking.refused(given));
      } else {
        this.#note(this.#unreachable(given.text), given.retryAfter);
      }
    } catch (error) {
      this.#note(error instanceof PeerError ? error : this.#unreachable(String(error), error));
    }
  }

  /** What a person takes to log in does not count. */
  async #unhurried<T>(work: () => Promise<T>): Promise<T> {
    const askedAt = monotonic();
    try {
      this.#deadline.stop();
      return await work();
    } finally {
      this.#startBy += monotonic() - askedAt;
      if (this.#late !== undefined) {
        this.#deadline.set(this.#startBy - monotonic(), this.#late);
      }
    }
  }

  /** Believes what the issuer has given as others will have to, and takes its time for the time. */
  async #take(certificate: Certificate, answeredAt: number): Promise<void> {
    const { client, clock, trusted, actor, primitives, identity } = this.options;
    const { subject, realm, issuedAt, text } = certificate;
    if (!this.#isOwn(certificate)) {
      throw new ConfigError(
        `the issuer ${client.url} gives a certificate of another key, or one for ${subject} in realm ` +
          `${realm} and not for ${actor}`,
      );
    }
    const keys = await trusted.ask().catch(async (error: unknown) => {
      if (identity.certificate === "") {
        identity.certificate = text; // the key is enrolled: it renews next, and wants no second token
        await this.#keep(text, trusted.keys);
      }
      throw error;
    });
    try {
      await verifyCertificate(primitives, utf8(text), keys, issuedAt);
      this.#holdToOrder(certificate);
      clock.learn(issuedAt, this.#asking.askedAt, answeredAt);
      await trusted.verify(utf8(text));
    } catch (error) {
      if (error instanceof CertificateError) {
        throw new ConfigError(`the issuer ${client.url} gives ${error.message}`, { cause: error });
      }
      throw error;
    }
    this.#give(certificate);
    await this.#keep(text, keys);
  }

  async #keep(text: string, keys: ReadonlyMap<string, Uint8Array>): Promise<void> {
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
    if (this.#hasStopped) {
      return;
    }
    this.#keeping.given(certificate, this.options.clock.steady(), Math.random());
    this.options.identity.certificate = certificate.text;
    this.#why = undefined;
    this.#answered();
    this.options.renewed(certificate);
    this.#tell(true);
  }

  /** There is nothing new. */
  #note(error: PeerError, retryAfter = 0): void {
    if (this.#hasStopped) {
      return;
    }
    const now = this.options.clock.steady();
    this.#why = error;
    if (error instanceof ConfigError) {
      this.#keeping.refused(now);
      this.#answered();
    } else {
      this.#keeping.away(now, Math.random(), retryAfter);
    }
    this.#tellFailed(error);
    this.#tell(false);
  }

  #tellFailed(error: PeerError): void {
    if (!this.#hasStopped) {
      this.options.failed(error, this.#keeping.left(this.options.clock.latest()));
    }
  }

  #unreachable(why: string, cause?: unknown): UnreachableError {
    return new UnreachableError(`the issuer ${this.options.client.url}`, why, { cause });
  }
}
