// Consecutive fragments of one message as one frame, where a wire takes long messages.
//
// A fragment costs as much as a whole message on either side, and an item of 64 KiB is five. What is
// numbered, held, acknowledged and sent again are still single fragments, for each of them has to
// fit any wire (docs/protocol.md#session-frames).

import { frameCount } from "./fragments";
import { type Data, FRAGMENT_BYTES, fragmentHead } from "./frames";
import type { Outgoing, Sender } from "./sender";

/** Whether a frame stands for more than one fragment. */
export function isRun(frame: Data): boolean {
  return frame.parts > 1 && frame.payload.length > FRAGMENT_BYTES;
}

/** The fragments that a run stands for, in order, with views of its payload. */
export function singles(run: Data): Data[] {
  return Array.from({ length: frameCount(run.payload.length) }, (_, nth) => ({
    kind: run.kind,
    seq: run.seq + nth,
    part: run.part + nth,
    parts: run.parts,
    payload: run.payload.subarray(nth * FRAGMENT_BYTES, (nth + 1) * FRAGMENT_BYTES),
  }));
}

/**
 * Head and payload of a fragment that was just taken, and of those behind it, as many as may go
 * beside it; they count as sent with it.
 *
 * @param sender which gave it, of a reliable lane
 * @param frame the newest, or one that is sent again
 * @param room payload bytes that the wire message can take; that of the fragment, and it goes alone
 */
export function runOf(sender: Sender, frame: Outgoing, room: number): [Uint8Array, Uint8Array] {
  const { data: message, first } = frame;
  const count = frameCount(message.length);
  let { size } = frame;
  if (size < room && frame.tries === 1) {
    // What is sent again may go another way than new ones.
    const credit = Math.min(sender.creditBytes - sender.flightBytes, sender.spareBytes);
    size += takeMore(sender, frame, Math.min(room - size, credit), Math.min(first + count, sender.edge));
  }
  const index = frame.seq - first;
  const begin = index * FRAGMENT_BYTES;
  const head = fragmentHead(frame.seq, size, index, count, sender.flag);
  return [head, message.subarray(begin, begin + size)];
}

/** Takes fragments below the number `end` while there is room; returns their bytes. */
function takeMore(sender: Sender, frame: Outgoing, room: number, end: number): number {
  let taken = 0;
  while (sender.unsent < end) {
    const other = sender.frames.get(sender.unsent)!;
    if (taken + other.size > room) {
      break;
    }
    taken += other.size;
    sender.markSent(other, frame.at, frame.wire);
  }
  return taken;
}
