// What a page proves itself with, and whom it believes: its key, its certificate, its issuer.

import { ConfigError, type PeerError } from "../../errors";
import { encode } from "../../protocol/identity/base64url";
import type { Certificate } from "../../protocol/identity/certificates";
import { Statements } from "../../protocol/identity/descriptions";
import type { ActrId } from "../../protocol/identity/ids";
import type { Certified } from "../../protocol/identity/identity";
import type { Proofs } from "../../protocol/signaling/proofs";
import type { ReadPresence } from "../../protocol/signaling/reading";
import { signedReader } from "../../protocol/signaling/signed";
import { webCrypto } from "../crypto";
import { Renewing } from "../renewing";
import { SignedRelay, type SignedRelayOptions } from "../webrtc/signed";
import type { Shelf } from "./asking";
import { IssuerClock } from "./clock";
import { IssuerClient } from "./issuer";
import { Keeper } from "./keeper";
import { change, find } from "./kept";
import { keptKey, OwnIdentity, replacedKey } from "./own";
import { Trusted } from "./trusted";

const HERE = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** How a page gets its certificate, and goes on having one (docs/browser.md). */
export interface IdentityOptions {
  /** Where its issuer answers, as `https://host/path` before `/v1`; it must let pages of this origin ask. */
  readonly issuer: string;
  /**
   * A join token from the application's own login. Asked for where the issuer does not know the key;
   * from then on the key itself is enough.
   */
  readonly token?: () => Promise<string> | string;
  /**
   * The realm's secret in place of a token, as a person types it into a page of those who run the realm:
   * whoever has it may be anybody there. Never for a page that others are given.
   */
  readonly secret?: string;
  /**
   * For whom the certificate is, `acme:ann@*`, where the tabs of a person share one, each with an
   * instance of its own; without: for the id of this tab alone.
   */
  readonly subject?: string;
  /**
   * The name by which the browser keeps the key; without: subject and realm. Or a key that is made for
   * this load of the page, `await OwnIdentity.make()`.
   */
  readonly key?: string | OwnIdentity;
  /** The public keys of the issuers that are believed, as `/v1/keys` has them; without: the issuer's own word. */
  readonly issuerKeys?: string;
  /** Told of each new certificate. */
  readonly renewed?: (certificate: Certificate) => void;
  /**
   * Told of each time that the issuer gives nothing, and for how many seconds the last certificate is
   * still good. It is asked again by itself.
   */
  readonly failed?: (error: PeerError, left: number) => void;
}

/** Key, certificate and trust of one actor. */
export class Credentials implements Certified {
  readonly isRequired = true;
  readonly identity: OwnIdentity;
  readonly #clock = new IssuerClock();
  readonly #keeper: Keeper;
  readonly #trusted: Trusted;
  readonly #stop = new AbortController();
  /** Called when there is a certificate again after there was none. */
  returned: () => void = () => {};

  private constructor(
    readonly actor: ActrId,
    options: IdentityOptions,
    identity: OwnIdentity,
    known: ReadonlyMap<string, Uint8Array>,
    shelf: Shelf,
  ) {
    this.identity = identity;
    const client = new IssuerClient(placeOf(options.issuer), webCrypto);
    this.#trusted = new Trusted(webCrypto, client, options.issuerKeys, known, () => this.now());
    let endsAt = Infinity; // the last one
    this.#keeper = new Keeper({
      actor,
      subject: options.subject ?? subjectOf(actor),
      primitives: webCrypto,
      identity,
      client,
      clock: this.#clock,
      trusted: this.#trusted,
      shelf,
      token: options.token ?? (() => ""),
      secret: options.secret ?? "",
      renewed: (certificate) => {
        // Not whether something failed: a device that has slept past its end has asked nobody.
        const hadLapsed = endsAt <= this.#clock.latest();
        endsAt = certificate.expiresAt;
        guarded(() => options.renewed?.(certificate));
        if (hadLapsed) {
          this.returned();
        }
      },
      failed: (error, left) => guarded(() => options.failed?.(error, left)),
    });
  }

  /**
   * Settles when there is a certificate for `actor`, which is renewed until `close`. Rejects with
   * `ConfigError` if a setting cannot be used, no key can be had, or the issuer refuses it, and with
   * `UnreachableError` if the issuer does not answer.
   *
   * @param proofs of who is to have these credentials: there must be none
   */
  static async open(actor: ActrId, options: IdentityOptions, proofs?: Proofs): Promise<Credentials> {
    if (proofs !== undefined) {
      throw new ConfigError("`identity` makes the proofs of its own: give either that or `proofs`");
    }
    const { key = `${options.subject ?? subjectOf(actor)} ${actor.realm}` } = options;
    const credentials =
      typeof key === "string"
        ? await Credentials.#kept(actor, options, key)
        : new Credentials(actor, options, key, new Map(), nowhere);
    await credentials.#keeper.start().catch((error: unknown) => {
      credentials.close();
      throw error;
    });
    credentials.#begin();
    return credentials;
  }

  static async #kept(actor: ActrId, options: IdentityOptions, name: string): Promise<Credentials> {
    const { key, raw, issuerKeys } = await keptKey(name);
    const own = new OwnIdentity(key, raw);
    return new Credentials(actor, options, own, issuerKeys, {
      find: async () => {
        const kept = await find(name);
        return kept !== undefined && encode(kept.raw) === encode(own.raw) ? kept.certificate : "";
      },
      keep: (certificate, issuerKeys) => change(name, own.raw, { certificate, issuerKeys }),
      replace: () => replacedKey(name, own.raw),
    });
  }

  #begin(): void {
    this.#trusted.begin();
    const { signal } = this.#stop;
    const wake = () => this.wake();
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.addEventListener?.("pageshow", wake, { signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal });
  }

  /** The page is shown again, or the network is another. */
  wake(): void {
    this.#keeper.wake();
  }

  /** The signaling service refuses the certificate: asks the issuer for another one. */
  renew(): Promise<boolean> {
    return this.#keeper.renew();
  }

  now(): number {
    return this.#clock.now();
  }

  verify(data: Uint8Array): Promise<Certificate> {
    return this.#trusted.verify(data);
  }

  reader(refused: (actor: ActrId, why: string) => void): ReadPresence {
    return signedReader(webCrypto, this, refused);
  }

  /** What keeps the certificates of one open wire fresh, and ends it when its far side's is revoked. */
  renewing(...[send, ended]: [Renewing["send"], Renewing["ended"]]): Renewing {
    const renewing = new Renewing(this, send, ended, () => this.#trusted.unwatch(renewing));
    this.#trusted.watch(renewing);
    return renewing;
  }

  /** Signs and checks what goes to connections and comes from them. @param incarnation as it is registered */
  signedRelay(incarnation: bigint, parts: Omit<SignedRelayOptions, "statements" | "now">): SignedRelay {
    const { identity, isRequired } = this;
    const believe = (data: Uint8Array) => this.verify(data);
    const statements = new Statements(this.actor, incarnation, { primitives: webCrypto, identity, believe, isRequired });
    return new SignedRelay({ ...parts, statements, now: () => this.now() });
  }

  close(): void {
    this.#stop.abort();
    this.#keeper.stop();
    this.#trusted.stop();
  }
}

const nowhere: Shelf = { find: async () => "", keep: async () => {} };

function subjectOf(actor: ActrId): string {
  return `${actor.actrType}@${actor.instance}`;
}

/** Who is between could give keys of its own, and take the token: only on this machine is that nobody. */
function placeOf(issuer: string): string {
  let url: URL | undefined;
  try {
    url = new URL(issuer);
  } catch {
    // As one of another scheme.
  }
  const isHere = url?.protocol === "http:" && HERE.has(url.hostname);
  if (url === undefined || (url.protocol !== "https:" && !isHere) || url.search || url.hash) {
    throw new ConfigError(`identity.issuer '${issuer}': write https://host/path, what its pages have before /v1`);
  }
  return url.href.replace(/\/+$/, "");
}

/** A failure of the application in what it hears costs nothing else. */
function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    console.error("a failure in what hears of certificates", error);
  }
}
