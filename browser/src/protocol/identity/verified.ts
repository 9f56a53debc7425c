// Certificates whose signature has been checked: once is enough, for it does not change.
//
// What does change is looked at each time: the time, the issuer keys that are believed, and what was
// revoked. Nothing is remembered that was refused: a stranger can fill nothing here.

import { isEqual } from "../bytes";
import type { Certificate } from "./certificates";
import { checkSignature, holdToTime, MAX_CERTIFICATE_BYTES } from "./certificates";
import type { Primitives } from "./identity";
import type { Revoked } from "./revoked";

/**
 * Of the texts of certificates: some hundreds of the usual length. The one that was asked for the
 * longest ago is forgotten first.
 */
const MAX_REMEMBERED_BYTES = 512 * 1024;

interface Checked {
  readonly certificate: Certificate;
  /** Of the issuer key that has signed it. */
  readonly name: string;
  /** That key. */
  readonly key: Uint8Array;
}

/** Believes certificates, and remembers whose signature was good. */
export class Verified {
  readonly #checked = new Map<string, Checked>();
  #bytes = 0;

  /** @param most bytes of certificates that are remembered */
  constructor(
    readonly primitives: Primitives,
    readonly most = MAX_REMEMBERED_BYTES,
  ) {}

  get size(): number {
    return this.#checked.size;
  }

  /**
   * Checks a certificate that came from elsewhere; rejects with `CertificateError` and nothing else.
   *
   * @param data its text, as ASCII
   * @param keys raw public keys of the issuers that are believed, by their names
   * @param now asked for Unix seconds
   */
  async verify(
    data: Uint8Array,
    keys: ReadonlyMap<string, Uint8Array>,
    revoked: Revoked,
    now: () => number,
  ): Promise<Certificate> {
    const text = String.fromCharCode(...data.subarray(0, MAX_CERTIFICATE_BYTES + 1));
    const found = this.#checked.get(text);
    const known = found && keys.get(found.name);
    let certificate: Certificate;
    if (found !== undefined && known !== undefined && isEqual(known, found.key)) {
      ({ certificate } = found);
      this.#remember(text, found);
    } else {
      const checked = await checkSignature(this.primitives, data, keys);
      ({ certificate } = checked);
      this.#remember(text, { ...checked, key: keys.get(checked.name)! });
    }
    holdToTime(certificate, now());
    revoked.refuse(certificate);
    return certificate;
  }

  #remember(text: string, checked: Checked): void {
    if (this.#checked.delete(text)) {
      this.#bytes -= text.length;
    }
    this.#checked.set(text, checked);
    this.#bytes += text.length;
    for (const oldest of this.#checked.keys()) {
      if (this.#bytes <= this.most) {
        break;
      }
      this.#checked.delete(oldest);
      this.#bytes -= oldest.length;
    }
  }
}
