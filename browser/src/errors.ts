// Every error that this package raises on purpose, on one page.
//
// Catch the narrowest that you can act on:
//
//     PeerError
//     ├── ClosedError              this side closed it
//     ├── BrokenError              the far side or the network took it away
//     │   ├── LeftError            its process left in good order
//     │   └── StreamFailedError    a stream that came in did not end well; says after which item
//     ├── UnreachableError         no such actor, or no wire to it could be made
//     ├── BusyError                a second user where only one is allowed (an identity)
//     ├── LimitError               a bound was reached (bytes, fragments, depth)
//     ├── DeadlineError            no answer within the seconds the caller gave
//     ├── CallError                the far side ran or refused the call and says so, with a Code
//     ├── ConfigError              a setting that cannot be used: its text says what is allowed
//     └── ProtocolError
//         ├── LocalProtocolError   our code asked for an illegal step: a bug here
//         └── RemoteProtocolError  the far side took an illegal step: drop the link
//             └── CertificateError its certificate is not to be believed; says why, with a fault
//
// A clean end of a stream is not an error: it ends the iteration.

/** gRPC's status codes (grpc/grpc doc/statuscodes.md), without OK. */
export enum Code {
  CANCELLED = 1,
  UNKNOWN = 2,
  INVALID_ARGUMENT = 3,
  DEADLINE_EXCEEDED = 4,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  PERMISSION_DENIED = 7,
  RESOURCE_EXHAUSTED = 8,
  FAILED_PRECONDITION = 9,
  ABORTED = 10,
  OUT_OF_RANGE = 11,
  UNIMPLEMENTED = 12,
  INTERNAL = 13,
  UNAVAILABLE = 14,
  DATA_LOSS = 15,
  UNAUTHENTICATED = 16,
}

/** Base of every error raised on purpose by this package. */
export class PeerError extends Error {
  // Written out in each class: a minified bundle has other names.
  override name = "PeerError";
}

/** The object was closed on this side. */
export class ClosedError extends PeerError {
  override name = "ClosedError";
}

/** The object was taken away by the far side or the network; `cause` holds what is underneath. */
export class BrokenError extends PeerError {
  override name = "BrokenError";
}

/** The far side's actor left in good order, and said so: what it gave has ended, not failed. */
export class LeftError extends BrokenError {
  override name = "LeftError";
}

/**
 * A stream that came in ended with an error of its sender, or was taken away (a reset: its sender's
 * process restarted, or the link is gone). All items before that were handed over.
 */
export class StreamFailedError extends BrokenError {
  override name = "StreamFailedError";

  /**
   * @param lastSequence number of the last item that was handed over; -1: none was
   * @param reason the sender's own `CallError`, or what took the stream away
   */
  constructor(
    readonly channelId: string,
    readonly lastSequence: number,
    readonly reason: Error,
  ) {
    const after = lastSequence >= 0 ? `after item ${lastSequence}` : "before its first item";
    super(`stream '${channelId}' failed ${after}: ${reason.message}`, { cause: reason });
  }
}

/** No such actor is online, or no wire to it could be made. */
export class UnreachableError extends PeerError {
  override name = "UnreachableError";

  /**
   * @param remote the actor that was asked for, in text form
   * @param why the reason alone
   */
  constructor(
    readonly remote: string,
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(`cannot reach ${remote}: ${why}`, options);
  }
}

/** Signaling relays no wire to it: it relays none at all, or not to where the actor is. */
export class NoRelayError extends UnreachableError {
  override name = "NoRelayError";
}

/** Another user holds what only one may hold at a time. */
export class BusyError extends PeerError {
  override name = "BusyError";
}

/** A bound was reached. */
export class LimitError extends PeerError {
  override name = "LimitError";

  /**
   * @param what the name of the bounded thing, for logs
   * @param limit the bound, in the unit that `what` names
   * @param asked what was asked for, in the same unit
   */
  constructor(
    readonly what: string,
    readonly limit: number,
    readonly asked: number,
  ) {
    super(`${what}: ${asked} is over the limit of ${limit}`);
  }
}

/** No answer within the seconds the caller gave; the far side may still act. */
export class DeadlineError extends PeerError {
  override name = "DeadlineError";
}

/** What a `CallError` says beside its code and its text. */
export interface CallErrorFields {
  /** Whether the same call may work later. */
  readonly retryable?: boolean;
  /** Seconds after which a retry makes sense, or null. */
  readonly retryAfter?: number | null;
  /** Who defines `details`; empty for actr itself. */
  readonly domain?: string;
  /** Serialized `google.protobuf.Any` messages, in the sender's order. */
  readonly details?: readonly Uint8Array[];
}

/**
 * The far side ran or refused the call and reports that it failed. A handler raises it to answer
 * with a code of its choice.
 */
export class CallError extends PeerError {
  override name = "CallError";
  readonly retryable: boolean;
  readonly retryAfter: number | null;
  readonly domain: string;
  readonly details: readonly Uint8Array[];

  /**
   * @param code one of gRPC's codes
   * @param text as sent; `message` has the code's name too
   */
  constructor(
    readonly code: Code,
    readonly text: string,
    fields: CallErrorFields = {},
    options?: ErrorOptions,
  ) {
    super(`${text} (${Code[code]})`, options);
    this.retryable = fields.retryable ?? false;
    this.retryAfter = fields.retryAfter ?? null;
    this.domain = fields.domain ?? "";
    this.details = fields.details ?? [];
  }
}

/** A setting that cannot be used; the text names it, its value and what is allowed. */
export class ConfigError extends PeerError {
  override name = "ConfigError";
}

/** An illegal step; raise one of the two subclasses, never this. */
export class ProtocolError extends PeerError {
  override name = "ProtocolError";
}

/** Our own code asked for an illegal step: a bug on this side. */
export class LocalProtocolError extends ProtocolError {
  override name = "LocalProtocolError";
}

/** The far side took an illegal step: the link is not to be trusted. */
export class RemoteProtocolError extends ProtocolError {
  override name = "RemoteProtocolError";
}

/** What is wrong with a certificate. */
export enum CertificateFault {
  MALFORMED = "malformed",
  UNKNOWN_KEY = "unknown issuer key",
  BAD_SIGNATURE = "bad signature",
  TOO_LONG_A_LIFE = "too long a life",
  NOT_YET_VALID = "not yet valid",
  EXPIRED = "expired",
  REVOKED = "revoked",
}

/** A certificate that is not to be believed. */
export class CertificateError extends RemoteProtocolError {
  override name = "CertificateError";

  /** @param fault what is wrong with it; the text says more */
  constructor(
    readonly fault: CertificateFault,
    text: string,
    options?: ErrorOptions,
  ) {
    super(text, options);
  }
}
