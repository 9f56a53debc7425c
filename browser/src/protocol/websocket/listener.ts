// The side of a wire's handshake that was asked to come (`handshake.ts`): a page is that on wires which
// signaling relays, and on no other.

import { CertificateError, RemoteProtocolError } from "../../errors";
import { ActrId } from "../identity/ids";
import { CloseCode } from "../wire/close-codes";
import { type DiallerOptions, NONCE_BYTES, type Outcome, VERSION } from "./handshake";
import { MESSAGE_BYTES, parseStep, writeStep } from "./lane-frames";
import { ProofError, Proofs, RELAYED } from "./proofs";
import type { WireHandshake } from "./tables";

/** Send `step`, which says why, and close with `code`. */
export interface Refused {
  readonly kind: "refused";
  readonly step: Uint8Array;
  readonly code: CloseCode;
  readonly error: RemoteProtocolError;
}

/** gRPC's codes of what a refusal says. */
const CODES: Partial<Record<CloseCode, number>> = {
  [CloseCode.BAD_MESSAGE]: 3,
  [CloseCode.UNAUTHENTICATED]: 16,
  [CloseCode.FORBIDDEN]: 7,
  [CloseCode.NOT_HERE]: 5,
};

/** The listener's, of a wire that `remote` has asked for: `receive`, one step after the other. */
export class ListenerHandshake {
  #expected: "hello" | "proof" | undefined = "hello";
  readonly #proofs: Proofs;
  #diallerNonce = new Uint8Array();

  constructor(private readonly options: DiallerOptions) {
    const { primitives, secret, certified } = options;
    this.#proofs = new Proofs(primitives, secret, certified, "listener");
    this.#proofs.tlsKey = RELAYED;
  }

  /** Nothing: the dialler begins. */
  start(): Uint8Array {
    return new Uint8Array();
  }

  /** Takes the dialler's next step; never rejects for what the dialler sends. */
  async receive(data: Uint8Array): Promise<Outcome | Refused> {
    const expected = this.#expected;
    this.#expected = undefined;
    try {
      const step = parseStep(data);
      if (step.case === "hello" && expected === "hello") {
        return await this.#challenge(step.value);
      }
      if (step.case === "proof" && expected === "proof") {
        return await this.#welcome(step.value);
      }
      throw new RemoteProtocolError(`handshake step ${step.case} where ${expected ?? "nothing"} is due`);
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) {
        throw error;
      }
      const isProof = error instanceof ProofError || error instanceof CertificateError;
      return refuse(isProof ? CloseCode.UNAUTHENTICATED : CloseCode.BAD_MESSAGE, error);
    }
  }

  async #challenge(hello: Extract<WireHandshake["step"], { case: "hello" }>["value"]): Promise<Outcome | Refused> {
    const { local, remote, nonce } = this.options;
    if (hello.version !== VERSION) {
      throw new RemoteProtocolError(`version ${hello.version} of the wire is not spoken here, only ${VERSION}`);
    }
    if (hello.nonce.length !== NONCE_BYTES) {
      throw new RemoteProtocolError(`a hello with a nonce of ${hello.nonce.length} bytes`);
    }
    const [from, to] = [idOf(hello.from), idOf(hello.to)];
    if (to !== local.text) {
      return refuse(CloseCode.NOT_HERE, new RemoteProtocolError(`${to} is not here, this is ${local}`));
    }
    if (from !== remote.text) {
      return refuse(CloseCode.FORBIDDEN, new RemoteProtocolError(`${from} comes where ${remote} has asked for a wire`));
    }
    await this.#proofs.examine(hello.certificate, remote);
    this.#diallerNonce = new Uint8Array(hello.nonce);
    this.#expected = "proof";
    const proofRequired = this.#proofs.requires === "secret";
    const value = { nonce, proofRequired, certificate: this.#proofs.shown };
    return { kind: "reply", step: writeStep({ case: "challenge", value }) };
  }

  async #welcome({ mac, signature }: { mac: Uint8Array; signature: Uint8Array }): Promise<Outcome> {
    const { local, remote, nonce } = this.options;
    const ends = {
      dialler: remote,
      listener: local,
      diallerNonce: this.#diallerNonce,
      listenerNonce: nonce,
      tlsKey: RELAYED,
    };
    await this.#proofs.check(remote, ends, mac, signature);
    const value = { ...(await this.#proofs.prove(ends)), wireMessageBytes: MESSAGE_BYTES };
    const step = writeStep({ case: "welcome", value });
    return { kind: "accepted", remote, step, messageBytes: MESSAGE_BYTES, certificate: this.#proofs.certificate };
  }
}

function refuse(code: CloseCode, error: RemoteProtocolError): Refused {
  const value = { error: { code: CODES[code] ?? 0, message: error.message } };
  return { kind: "refused", step: writeStep({ case: "welcome", value }), code, error };
}

/** As text; empty: it is none. */
function idOf(message: Parameters<typeof ActrId.fromMessage>[0] | undefined): string {
  try {
    return message === undefined ? "" : ActrId.fromMessage(message).text;
  } catch {
    return "";
  }
}
