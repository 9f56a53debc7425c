// What is used of a WebSocket: the browser's class, and the like of it elsewhere.

export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  // A page's own class says more of its events than is used here: of a message `data`, of a close
  // `code` and `reason`.
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string, protocols?: string[]) => Socket;

/** Bytes of a reason that fits a close frame (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 120;
/** There was no close frame (RFC 6455, 7.4.1). */
const NO_FRAME = 1006;

/** What a close frame said; without a code: there was none, or none in it. */
export interface Closed {
  readonly code: number | undefined;
  readonly reason: string;
}

/** Who hears of a socket. */
export interface SocketSink {
  opened(): void;
  /** A whole message: undefined for a text. */
  message(data: Uint8Array | undefined): void;
  /** Once; nothing follows. */
  closed(closed: Closed): void;
  /** What came, or was to be sent, is not what it should be. */
  failed?(error: unknown): void;
}

/**
 * A socket with one owner, which hears nothing of it once it has closed it: a browser may take a
 * minute to be sure that the far side is gone.
 */
export class OwnedSocket {
  readonly #socket: Socket;

  /** Throws a `SyntaxError` for an address that is none. */
  constructor(make: SocketClass, url: string, sink: SocketSink, protocols?: string[]) {
    const socket = protocols === undefined ? new make(url) : new make(url, protocols);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => sink.opened();
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) =>
      sink.message(typeof data === "string" ? undefined : new Uint8Array(data));
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      this.#leave();
      sink.closed({ code: code === NO_FRAME ? undefined : code, reason });
    };
    // The close that follows says as much as a page may know.
    socket.onerror = () => {};
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: Uint8Array): void {
    this.#socket.send(data as Uint8Array<ArrayBuffer>);
  }

  /** Sends what was taken, and closes; a page may say 1000 and codes from 3000 on. */
  close(code = 1000, reason = ""): void {
    this.#leave();
    this.#socket.close(code < 3000 ? 1000 : code, cut(reason));
  }

  #leave(): void {
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
  }
}

/** As much of a text as fits, in whole characters. */
function cut(reason: string): string {
  const bytes = new TextEncoder().encode(reason).subarray(0, MAX_REASON_BYTES);
  return new TextDecoder().decode(bytes).replace(/\ufffd+$/, "");
}
