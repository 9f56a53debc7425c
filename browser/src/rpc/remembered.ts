// Replies that are kept for a while: a request that is repeated is answered, and does not run twice.

/** Replies of one remote, and bytes of them together; oldest forgotten first. */
const MAX_REPLIES = 1024;
const MAX_BYTES = 4 * 1024 * 1024;

export class Remembered {
  private readonly replies = new Map<string, Uint8Array>();
  private bytes = 0;

  get(requestId: string): Uint8Array | undefined {
    return this.replies.get(requestId);
  }

  add(requestId: string, reply: Uint8Array): void {
    this.replies.set(requestId, reply);
    this.bytes += reply.length;
    for (const [oldest, { length }] of this.replies) {
      if (this.replies.size <= MAX_REPLIES && this.bytes <= MAX_BYTES) {
        break;
      }
      this.replies.delete(oldest);
      this.bytes -= length;
    }
  }
}
