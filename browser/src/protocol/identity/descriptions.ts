// Signed descriptions: an offer or an answer is its sender's, whoever carried it.
//
// Signaling carries descriptions, and a description says whose DTLS key is at the other end: whoever
// can replace one can put itself between. So the sender signs a statement of it: for whom it is, from
// which process, which connection and exchange it belongs to, and when; an answer also names the
// offer that it answers. What is not said in one of them, `Statements` drops, each for a fault.

import { CertificateError, RemoteProtocolError } from "../../errors";
import { isEqual, utf8 } from "../bytes";
import { read, write } from "../protobuf";
import type { Description, NegotiateMessage, Proof } from "../webrtc/negotiation";
import { DESCRIPTION_STATEMENT, type DescriptionStatement } from "../webrtc/tables";
import type { Certificate } from "./certificates";
import { covers } from "./certificates";
import type { Identity, Primitives } from "./identity";
import type { ActrId } from "./ids";
import { DESCRIPTION, isSigned, SDP, signedText } from "./signatures";

/** Seconds that a statement is good for, and by which clocks may differ. */
const MAX_AGE = 60;
/** Connections whose descriptions are remembered, of each direction; the oldest is forgotten. */
const MAX_REMEMBERED = 4096;

/** Their numbers in a statement. */
const KINDS = { offer: 1, answer: 2 } as const;

/**
 * Why a description is dropped.
 *
 * - `stripped`: nothing says whose it is.
 * - `certificate`: its certificate is not to be believed.
 * - `foreign`: its certificate is not one of its sender.
 * - `signature`: the key of the certificate did not sign it.
 * - `swapped`: what was signed is about another description, connection or exchange.
 * - `reflected`: what was signed is from or for somebody else.
 * - `late`: it is over 60 s from the issuer's time.
 * - `replayed`: its connection has been, or it is for a process that was here before.
 */
export type Fault =
  | "stripped"
  | "malformed"
  | "certificate"
  | "foreign"
  | "signature"
  | "swapped"
  | "reflected"
  | "late"
  | "replayed";

/** A description that is to be dropped. */
export class DescriptionError extends RemoteProtocolError {
  override name = "DescriptionError";

  /** @param fault why, for counting */
  constructor(
    readonly fault: Fault,
    text: string,
    options?: ErrorOptions,
  ) {
    super(text, options);
  }
}

/** The last offer of a connection, as its sender signed it. */
interface Heard {
  readonly exchange: number;
  readonly digest: Uint8Array;
  readonly incarnation: bigint;
}

/** What is passed in to sign and to check. */
export interface StatementOptions {
  readonly primitives: Primitives;
  /** What this actor proves itself with. */
  readonly identity: Identity;
  /** Reads a certificate, or rejects with `CertificateError`. */
  readonly believe: (certificate: Uint8Array) => Promise<Certificate>;
  /**
   * Whether a description must be signed; else one that nobody signed passes, and one that is signed
   * is held to it all the same.
   */
  readonly isRequired: boolean;
}

/** SHA-256 of what a description says: the SDP, and each pair of mid and track id. */
export function digest(primitives: Primitives, body: Description): Promise<Uint8Array> {
  // Mids are short and of ASCII, whose units are in the order of their code points.
  const pairs = Object.entries(body.trackIds).sort(([one], [other]) => (one < other ? -1 : 1));
  return primitives.sha256(signedText(SDP, utf8(body.sdp), ...pairs.flat().map(utf8)));
}

/**
 * Signs what this actor describes, and holds what others describe to what they signed: one message
 * of a connection after the other.
 */
export class Statements {
  readonly #offered = new Map<string, { exchange: number; digest: Uint8Array }>();
  readonly #heard = new Map<string, Heard>();

  /** @param incarnation of this process, as it is registered */
  constructor(
    readonly actor: ActrId,
    readonly incarnation: bigint,
    readonly options: StatementOptions,
  ) {}

  /**
   * The message with its proof, if it is a description; else as it is.
   *
   * @param now Unix seconds at the issuer
   * @param incarnation of the far process, for an offer; 0: it is not known. An answer is for the
   *   process that made the offer.
   */
  async sign(
    to: ActrId,
    message: NegotiateMessage,
    now: number,
    incarnation = 0n,
  ): Promise<NegotiateMessage> {
    const { body, connectionId, exchange } = message;
    if (body.kind !== "offer" && body.kind !== "answer") {
      return message;
    }
    const { primitives, identity } = this.options;
    const key = keyOf(to, connectionId);
    const own = await digest(primitives, body);
    let answered: Uint8Array = new Uint8Array();
    if (body.kind === "offer") {
      remember(this.#offered, key, { exchange, digest: own });
    } else {
      const heard = this.#heard.get(key);
      if (heard === undefined || heard.exchange !== exchange) {
        return message; // of an offer that nobody signed
      }
      answered = heard.digest;
      incarnation = heard.incarnation;
    }
    const statement = write(DESCRIPTION_STATEMENT, {
      connectionId,
      exchange,
      from: this.actor.toMessage(),
      to: to.toMessage(),
      fromIncarnation: this.incarnation,
      toIncarnation: incarnation,
      kind: KINDS[body.kind],
      descriptionSha256: own,
      offerSha256: answered,
      timeMs: BigInt(Math.round(now * 1000)),
    });
    const certificate = utf8(identity.certificate);
    const signature = await identity.sign(signedText(DESCRIPTION, statement));
    return { ...message, proof: { statement, certificate, signature } };
  }

  /**
   * Holds a message to what its sender signed, before anything is done with it. Returns whose key has
   * signed it; undefined: it is none that is signed. Rejects with `DescriptionError` if it is to be
   * dropped.
   *
   * @param now Unix seconds at the issuer
   * @param isLive there is a connection of this id with the sender
   */
  async check(
    source: ActrId,
    message: NegotiateMessage,
    now: number,
    isLive: boolean,
  ): Promise<Certificate | undefined> {
    const { body, proof } = message;
    if (body.kind !== "offer" && body.kind !== "answer") {
      return undefined;
    }
    if (proof === undefined) {
      // Who has signed once signs all of a connection: there is no going back in between.
      if (this.options.isRequired || this.#heard.has(keyOf(source, message.connectionId))) {
        throw new DescriptionError("stripped", `a description of ${source} without proof`);
      }
      return undefined;
    }
    const certificate = await this.#holdToSender(source, proof);
    const statement = readStatement(proof.statement);
    await this.#holdToMessage(source, message, body, statement);
    const age = now - Number(statement.timeMs) / 1000;
    if (Math.abs(age) > MAX_AGE) {
      throw new DescriptionError(
        "late",
        `a description of ${source} that was signed ${age.toFixed()} s ago, by the issuer's clock: ` +
          "it was held back, or a clock is wrong",
      );
    }
    this.#holdToConversation(source, message, statement, isLive);
    return certificate;
  }

  async #holdToSender(source: ActrId, proof: Proof): Promise<Certificate> {
    let certificate: Certificate;
    try {
      certificate = await this.options.believe(proof.certificate);
    } catch (cause) {
      if (!(cause instanceof CertificateError)) {
        throw cause;
      }
      const text = `a description of ${source} with ${cause.message}`;
      throw new DescriptionError("certificate", text, { cause });
    }
    if (!covers(certificate, source)) {
      throw new DescriptionError(
        "foreign",
        `a description of ${source} with a certificate of ${certificate.subject} in realm ` +
          certificate.realm,
      );
    }
    const { statement, signature } = proof;
    const { primitives } = this.options;
    if (!(await isSigned(primitives, certificate.key, signature, DESCRIPTION, statement))) {
      const text = `a description of ${source} that its key did not sign`;
      throw new DescriptionError("signature", text);
    }
    return certificate;
  }

  async #holdToMessage(
    source: ActrId,
    message: NegotiateMessage,
    body: Description,
    statement: DescriptionStatement,
  ): Promise<void> {
    if (!isSame(statement.from, source) || !isSame(statement.to, this.actor)) {
      const text = `a description that is not from ${source} to ${this.actor}`;
      throw new DescriptionError("reflected", text);
    }
    const isIt =
      statement.connectionId === message.connectionId &&
      statement.exchange === message.exchange &&
      statement.kind === KINDS[body.kind] &&
      isEqual(statement.descriptionSha256, await digest(this.options.primitives, body));
    if (!isIt) {
      const text = `a description of ${source} that is not the one which it signed`;
      throw new DescriptionError("swapped", text);
    }
  }

  /** Sees that it belongs here and now, and remembers it. */
  #holdToConversation(
    source: ActrId,
    message: NegotiateMessage,
    statement: DescriptionStatement,
    isLive: boolean,
  ): void {
    const key = keyOf(source, message.connectionId);
    const { exchange } = message;
    if (statement.toIncarnation !== 0n && statement.toIncarnation !== this.incarnation) {
      const text = `a description of ${source} for another process than this one`;
      throw new DescriptionError("replayed", text);
    }
    if (message.body.kind === "answer") {
      const offered = this.#offered.get(key);
      const isMeant = exchange === (offered?.exchange ?? 0);
      if (isMeant && !isEqual(statement.offerSha256, offered?.digest ?? new Uint8Array())) {
        const text = `an answer of ${source} to another offer than this one's`;
        throw new DescriptionError("swapped", text);
      }
      return;
    }
    const heard = this.#heard.get(key);
    if (heard !== undefined && !isLive) {
      const text = `an offer of ${source} for a connection that has been`;
      throw new DescriptionError("replayed", text);
    }
    if (heard === undefined || heard.exchange < exchange) {
      const { descriptionSha256, fromIncarnation } = statement;
      const taken = { exchange, digest: descriptionSha256, incarnation: fromIncarnation };
      remember(this.#heard, key, taken);
    }
  }
}

/** No id has a line break in it. */
function keyOf(remote: ActrId, connectionId: string): string {
  return `${remote.text}\n${connectionId}`;
}

function isSame(said: DescriptionStatement["from"], id: ActrId): boolean {
  return (
    said?.manufacturer === id.manufacturer &&
    said.name === id.name &&
    said.instance === id.instance &&
    said.realm === id.realm
  );
}

function readStatement(data: Uint8Array): DescriptionStatement {
  try {
    return read(DESCRIPTION_STATEMENT, data);
  } catch (cause) {
    throw new DescriptionError("malformed", "a statement that cannot be read", { cause });
  }
}

function remember<T>(kept: Map<string, T>, key: string, value: T): void {
  kept.delete(key);
  kept.set(key, value);
  if (kept.size > MAX_REMEMBERED) {
    kept.delete(kept.keys().next().value!);
  }
}
