// Between signaling and the connections: what goes out is signed, what comes in is held to it.

import type { Certificate } from "../../protocol/identity/certificates";
import type { Statements } from "../../protocol/identity/descriptions";
import { DescriptionError } from "../../protocol/identity/descriptions";
import type { ActrId } from "../../protocol/identity/ids";
import type { NegotiateMessage } from "../../protocol/webrtc/negotiation";
import type { Relay } from "./exchanges";

export interface SignedRelayOptions {
  readonly statements: Statements;
  /** Unix seconds at the issuer. */
  readonly now: () => number;
  /** Of a remote's process; 0: it is not known. */
  readonly incarnationOf: (remote: ActrId) => Promise<bigint>;
  readonly relay: Relay;
  /** Given what may be believed, with the certificate of who signed it. */
  readonly receive: (source: ActrId, message: NegotiateMessage, certificate: Certificate | undefined) => void;
  /** Whether there is a connection with this remote and id. */
  readonly isLive: (remote: ActrId, connectionId: string) => boolean;
  /** Told of each description that is dropped. */
  readonly refused: (source: ActrId, error: DescriptionError) => void;
}

/** Signs and checks the descriptions of all connections of this process. */
export class SignedRelay {
  /** Messages are handed on in the order in which they came. */
  #turn: Promise<void> = Promise.resolve();

  constructor(readonly options: SignedRelayOptions) {}

  /** Signs what is a description, and brings it to `remote`; rejects when it was not handed over. */
  readonly relay: Relay = async (remote, message) => {
    const { statements, now, incarnationOf, relay } = this.options;
    const incarnation = message.body.kind === "offer" ? await incarnationOf(remote) : 0n;
    await relay(remote, await statements.sign(remote, message, now(), incarnation));
  };

  /** Hands on a message that `source` signed, or that need not be signed; else drops it. */
  receive(source: ActrId, message: NegotiateMessage): void {
    this.#turn = this.#turn.then(() => this.#take(source, message)).catch((error: unknown) => {
      console.error("a failure in what hears of negotiation", error);
    });
  }

  async #take(source: ActrId, message: NegotiateMessage): Promise<void> {
    const { statements, now, receive, isLive, refused } = this.options;
    let certificate: Certificate | undefined;
    try {
      certificate = await statements.check(source, message, now(), isLive(source, message.connectionId));
    } catch (error) {
      if (error instanceof DescriptionError) {
        refused(source, error);
        return;
      }
      throw error;
    }
    receive(source, message, certificate);
  }
}
