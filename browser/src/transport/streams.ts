// All channels of a link: which half a chunk is for, and what becomes of those for none.

import { BrokenError, LimitError, LocalProtocolError } from "../errors";
import type { StreamLane } from "../protocol/payload";
import { Clock } from "../protocol/streams/age";
import { checkChannelId, type Chunk, type Credit, encodeStreamCancel } from "../protocol/streams/chunks";
import type { Link } from "./link";
import { StreamReader } from "./stream-reader";
import { isMetered, say, StreamWriter } from "./stream-writer";

/** Halves, of both directions. */
const MAX_STREAMS = 16 * 1024;
/** Channels of which it is known that they were refused; oldest forgotten first. */
const MAX_REMEMBERED = 16 * 1024;

export class Streams {
  private readonly readers = new Map<string, StreamReader>();
  private readonly writers = new Map<string, StreamWriter>();
  /** Whose items came to nobody, oldest first. */
  private readonly refused = new Set<string>();
  private clock = new Clock();

  /** @param early hears what comes on a channel that is not open here; true if it is about to be */
  constructor(
    private readonly link: Link,
    private readonly early: (chunk: Chunk) => boolean,
  ) {}

  /** Whether a channel is open. */
  get isAny(): boolean {
    return this.readers.size + this.writers.size > 0;
  }

  /** Makes the receiving half; throws `LimitError` if too many are open. */
  openReader(channelId: string, payloadType: StreamLane): StreamReader {
    this.check(channelId, this.readers);
    const reader = new StreamReader(this.link, channelId, payloadType, this.clock, (half) =>
      forget(this.readers, half),
    );
    this.readers.set(channelId, reader);
    return reader;
  }

  /** Makes the sending half; `credit` is what the far side takes, null: it says so when it listens. */
  openWriter(channelId: string, payloadType: StreamLane, credit: Credit | null): StreamWriter {
    this.check(channelId, this.writers);
    const writer = new StreamWriter(this.link, channelId, payloadType, credit, (half) =>
      forget(this.writers, half),
    );
    this.writers.set(channelId, writer);
    return writer;
  }

  private check(channelId: string, halves: ReadonlyMap<string, unknown>): void {
    checkChannelId(channelId);
    if (halves.has(channelId)) {
      throw new LocalProtocolError(`channel '${channelId}' is open already`);
    }
    const open = this.readers.size + this.writers.size + 1;
    if (open > MAX_STREAMS) {
      throw new LimitError("stream halves open", MAX_STREAMS, open);
    }
  }

  /** Routes one chunk to the half that it is for. */
  receive(payloadType: StreamLane, chunk: Chunk): void {
    const { channelId, kind } = chunk;
    if (kind === "credit" || kind === "cancel") {
      const writer = this.writers.get(channelId);
      if (writer === undefined) {
        this.early(chunk); // mostly word about a channel that has ended here: late, and harmless
      } else if (kind === "credit") {
        writer.grant(chunk.credit);
      } else {
        writer.stop(new BrokenError(`the far side takes no more of ${channelId}`));
      }
      return;
    }
    const reader = this.readers.get(channelId);
    if (reader !== undefined && chunk.opening === 0) {
      reader.deliver(chunk);
    } else if (!this.early(chunk) && kind === "item" && isMetered(payloadType)) {
      this.refuse(chunk);
    }
  }

  /** Nobody takes it: its writer is told once. */
  private refuse({ channelId, opening }: Chunk): void {
    const key = `${opening} ${channelId}`;
    if (this.refused.has(key)) {
      return;
    }
    this.refused.add(key);
    if (this.refused.size > MAX_REMEMBERED) {
      for (const oldest of this.refused) {
        this.refused.delete(oldest);
        break;
      }
    }
    say(this.link, encodeStreamCancel(channelId, opening));
  }

  /** A chunk could not be read: what the channel has lost, its reader must hear of. */
  reject(channelId: string, opening: number, error: Error): void {
    if (opening === 0) {
      this.readers.get(channelId)?.fail(error);
    }
  }

  /** Whether items of a channel have come, and gone, before its opening. */
  cameEarly(channelId: string): boolean {
    return this.refused.has(`0 ${channelId}`);
  }

  /** The link is gone, or its far process has restarted: all channels end, and nothing is said. */
  fail(error: Error): void {
    for (const reader of [...this.readers.values()]) {
      reader.lose(error);
    }
    for (const writer of [...this.writers.values()]) {
      writer.stop(error);
    }
    this.refused.clear();
    this.clock = new Clock(); // a new process has a clock of its own
  }
}

/** A half is over; another of its name may be there by now. */
function forget<T extends { channelId: string }>(halves: Map<string, T>, half: T): void {
  if (halves.get(half.channelId) === half) {
    halves.delete(half.channelId);
  }
}
