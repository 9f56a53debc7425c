// The certificate of a console: enrolled once, renewed while the page is open, and kept nowhere.

import { type ActrId, ConfigError, webCrypto } from "actr";

import type { Certified } from "../../src/protocol/identity/identity";

/** Seconds between two looks at what the issuer has revoked, and at its keys. */
const LOOK = 30;
/** The part of a certificate's life after which the next one is asked for. */
const RENEW_AT = 2 / 3;

/** By what a console is let in; it leaves the page only as a proof, or to the issuer. */
export interface Leave {
  readonly kind: "secret" | "token";
  readonly text: string;
}

/** What `enrol` gives: a key with a certificate, and who believes those of others. */
export interface Enrolled extends Certified {
  /** Asks for nothing any more. */
  stop(): void;
}

/**
 * A certificate of the issuer at `url`, for `id`. Rejects with `ConfigError` where the issuer refuses,
 * or this browser has no such keys, and with `UnreachableError` where no answer comes.
 */
export async function enrol(url: string, id: ActrId, leave: Leave): Promise<Enrolled> {
  if (!globalThis.isSecureContext) {
    throw new ConfigError("a browser makes keys only for https, or for http://localhost: open the console by one of them");
  }
  const { IssuerClient, OwnIdentity, Verified } = await import("actr/certificates");
  const issuer = new IssuerClient(url, webCrypto);
  const identity = await OwnIdentity.make();
  const given = await issuer.enrol(
    identity,
    id,
    leave.kind === "token" ? { token: leave.text } : { secret: new TextEncoder().encode(leave.text) },
  );
  if (!("subject" in given)) {
    throw new ConfigError(`the issuer refuses: ${given.text || given.cause}`);
  }
  identity.certificate = given.text;
  let [keys, revoked] = await Promise.all([issuer.keys(), issuer.revoked()]);
  const verified = new Verified(webCrypto);
  const now = () => Date.now() / 1000;
  let renewAt = now() + (given.expiresAt - now()) * RENEW_AT;

  const look = async () => {
    [keys, revoked] = await Promise.all([issuer.keys(), issuer.revoked()]);
    if (now() >= renewAt) {
      const next = await issuer.renew(identity);
      if ("subject" in next) {
        identity.certificate = next.text;
        renewAt = now() + (next.expiresAt - now()) * RENEW_AT;
      }
    }
  };
  // One that fails is asked again by the next: until the certificate's end nothing is lost.
  const timer = setInterval(() => void look().catch(() => {}), LOOK * 1000);
  return {
    identity,
    now,
    isRequired: true,
    verify: (data) => verified.verify(data, keys, revoked, now),
    stop: () => clearInterval(timer),
  };
}
