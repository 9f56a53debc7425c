// The certificate of a console: enrolled once, renewed while the page is open, and kept nowhere.

import type { ActrId } from "actr";
import type { Credentials } from "actr/certificates";

export type { Credentials };

/** By what a console is let in; it leaves the page only as a proof, or to the issuer. */
export interface Leave {
  readonly kind: "secret" | "token";
  readonly text: string;
}

/**
 * A key with a certificate of the issuer at `issuer`, for `id`, and who believes those of others. Rejects
 * as `Credentials.open` does.
 *
 * @param warned told of each time that the issuer does not renew it
 */
export async function enrol(
  issuer: string,
  id: ActrId,
  leave: Leave,
  warned: (why: string) => void,
): Promise<Credentials> {
  const { Credentials, OwnIdentity } = await import("actr/certificates");
  return Credentials.open(id, {
    issuer,
    key: await OwnIdentity.make(),
    ...(leave.kind === "secret" ? { secret: leave.text } : { token: () => leave.text }),
    failed: ({ message }, left) => warned(`${message}; the certificate is good for ${Math.round(left)} s more`),
  });
}
