// Why a WebSocket closes, on wires and towards signaling.
//
// Codes from 4000 are ours to define (RFC 6455, 7.4.2).

export enum CloseCode {
  NORMAL = 1000,
  GOING_AWAY = 1001,
  /** What breaks RFC 6455 itself; what breaks what is said over it is 4400. */
  PROTOCOL = 1002,
  /** A frame over the library's bound; what this code's own checks refuse is 4413. */
  TOO_LONG = 1009,
  INTERNAL = 1011,
  RESTART = 1012,
  BAD_MESSAGE = 4400,
  UNAUTHENTICATED = 4401,
  FORBIDDEN = 4403,
  /** The actor asked for is not the one that listens here. */
  NOT_HERE = 4404,
  TIMED_OUT = 4408,
  REPLACED = 4409,
  TOO_BIG = 4413,
  TOO_FAST = 4429,
}

/**
 * Whether a close frame may hold `code` (RFC 6455, section 7.4): 1005 and 1006 say that there was
 * none.
 */
export function isSendable(code: number): boolean {
  return (
    (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
  );
}
