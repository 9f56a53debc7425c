// A page that has certificates, as one is written: `join` with an `identity`.

import type { Joined } from "actr";
import { join } from "actr";
import { OwnIdentity } from "actr/certificates";

import { ChatClient } from "../../../demo/gen/actr/demo/chat_actr";

export interface Certified {
  readonly signaling: string;
  readonly issuer: string;
  readonly id: string;
  readonly subject?: string;
  readonly token?: string;
  readonly issuerKeys?: string;
  /** Its key is made for this load; else the browser keeps it. */
  readonly isFresh?: boolean;
}

let me: Joined | undefined;
const given: { key: string; expiresAt: number }[] = [];
const failed: [string, number][] = [];
const refused: string[] = [];
/** Numbers of the lines that came. */
const came: number[] = [];
let ended = "";

const hex = (data: Uint8Array) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const tell = (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`;

export const certified = {
  async certify({ signaling, issuer, id, token = "", isFresh = false, ...more }: Certified) {
    me = await join(signaling, id, {
      identity: {
        issuer,
        ...more,
        ...(isFresh ? { key: await OwnIdentity.make() } : {}),
        token: () => token,
        renewed: ({ key, expiresAt }) => given.push({ key: hex(key), expiresAt }),
        failed: (error, left) => failed.push([tell(error), left]),
      },
      sink: { refused: (actor, why) => refused.push(`${actor} ${why}`) },
    });
    return given.at(-1)!.key;
  },

  /** As `certify`; the error in words. */
  certifyOrTell: (wanted: Certified) => certified.certify(wanted).catch(tell),

  async certifiedSay({ remote, timeout = 30 }: { remote: string; timeout?: number }) {
    const said = new ChatClient(me!.to(remote)).say({ author: "page", text: "hello" }, { timeout });
    return said.then(({ number }) => Number(number), tell);
  },

  /** Lines come from now on; they end after so many. */
  async listen({ remote, lines, everyMs }: { remote: string; lines: number; everyMs: number }) {
    const chat = new ChatClient(me!.to(remote));
    void (async () => {
      try {
        const wanted = { testLines: lines, textBytes: 10, intervalUs: everyMs * 1000 };
        for await (const { number } of chat.messages(wanted)) {
          came.push(Number(number));
        }
        ended = "in good order";
      } catch (error) {
        ended = tell(error);
      }
    })();
  },

  heardOfCertificates: async () => ({ given, failed, refused, came: came.length, ended, doubled: came.length - new Set(came).size }),

  /** What comes of trying to take a key that is kept out of the browser, by each way that there is. */
  async takeOut(name: string) {
    const asked = indexedDB.open("actr");
    await new Promise((resolve) => (asked.onsuccess = resolve));
    const got = asked.result.transaction("identities").objectStore("identities").get(name);
    await new Promise((resolve) => (got.onsuccess = resolve));
    asked.result.close();
    const { key } = got.result as { key: CryptoKey };
    const ways = await Promise.all(
      (["pkcs8", "jwk", "raw"] as const).map((format) => crypto.subtle.exportKey(format as "jwk", key).then(() => "exported", tell)),
    );
    return { ways, isExtractable: key.extractable, shown: JSON.stringify(got.result.key) };
  },

  /** The fingerprint of what is kept by this name, made where there is none. */
  keptKey: async (name: string) => hex((await OwnIdentity.kept(name)).raw),
  forgetKey: (name: string) => OwnIdentity.forget(name),

  /** As in a browser that has no IndexedDB, or no Ed25519. */
  async without(what: "indexedDB" | "ed25519", name: string) {
    if (what === "indexedDB") {
      Object.defineProperty(globalThis, "indexedDB", { value: undefined });
    } else {
      const missing = () => Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError"));
      Object.defineProperty(SubtleCrypto.prototype, "generateKey", { value: missing });
    }
    return OwnIdentity.kept(name).then(() => "made", tell);
  },

  uncertify: async () => me!.close(),
};
