// What is taken of a view: an actor may tell anything, and as much as a message holds.

import type { ActorView } from "../gen/actr/services/inspection_pb";

/** Of a text; also of an id. */
export const MAX_TEXT = 256;
/** Entries of a map: causes that are counted. */
export const MAX_ENTRIES = 64;
/** Of links, and for each of its lanes; of changes the last; of streams and of tracks. */
export const MAX_LINKS = 512;
export const MAX_LANES = 6;
export const MAX_CHANGES = 256;
export const MAX_FLOWS = 256;
const WIRES: readonly string[] = ["webrtc", "websocket"];

/** Cuts a view down to what an honest actor can tell, in place; returns it. */
export function bounded(view: ActorView): ActorView {
  view.changes = view.changes.slice(-MAX_CHANGES);
  view.links = view.links.slice(0, MAX_LINKS);
  for (const link of view.links) {
    link.lanes = link.lanes.slice(0, MAX_LANES);
    link.wires = WIRES.flatMap((kind) => link.wires.find((wire) => wire.kind === kind) ?? []);
  }
  view.tracks = view.tracks.slice(0, MAX_FLOWS);
  if (view.streams !== undefined) {
    view.streams.halves = view.streams.halves.slice(0, MAX_FLOWS);
    view.streams.counts = entries(view.streams.counts);
  }
  if (view.mailbox !== undefined) {
    view.mailbox.counts = entries(view.mailbox.counts);
  }
  view.refused = entries(view.refused);
  view.failures = entries(view.failures);
  shorten(view);
  return view;
}

function entries(map: Record<string, bigint>): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(map)
      .slice(0, MAX_ENTRIES)
      .map(([key, value]) => [short(key), value]),
  );
}

/** Shortens each text of a message and of those within. */
function shorten(message: object): void {
  for (const [key, value] of Object.entries(message)) {
    if (typeof value === "string") {
      (message as Record<string, unknown>)[key] = short(value);
    } else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
      shorten(value as object);
    }
  }
}

/** Copies what it keeps: a slice of a text would hold all of the text in memory. */
function short(text: string): string {
  return text.length <= MAX_TEXT ? text : new TextDecoder().decode(new TextEncoder().encode(text.slice(0, MAX_TEXT)));
}
