// How fast items and frames go: of two views of one actor, one after the other.

import type { ActorView, StreamView, TrackView } from "../gen/actr/services/inspection_pb";

/** What went, or came, in a second. */
export interface Flow {
  readonly items: number;
  readonly bytes: number;
}

const NONE: Flow = { items: 0, bytes: 0 };

export const streamKey = ({ remote, channel, isOutbound }: StreamView) => `${remote} ${channel} ${isOutbound}`;
export const trackKey = ({ remote, trackId, isOutbound }: TrackView) => `${remote} ${trackId} ${isOutbound}`;

/** Remembers the view before, and what has become of each stream and track since. */
export class Flows {
  private view: ActorView | undefined;
  private streams = new Map<string, Flow>();
  private tracks = new Map<string, Flow>();

  /** Takes a view; the same one again is no news. */
  take(view: ActorView): void {
    const before = this.view;
    if (view === before) {
      return;
    }
    this.view = view;
    const isSame = before?.incarnation === view.incarnation;
    const seconds = isSame ? Number(view.nowMs - before.nowMs) / 1000 : 0;
    if (seconds <= 0) {
      this.streams = new Map();
      this.tracks = new Map();
      return;
    }
    const halves = (of: ActorView) => of.streams?.halves ?? [];
    const items = new Map(halves(before!).map((half) => [streamKey(half), half]));
    this.streams = new Map(
      halves(view).map((half) => {
        const key = streamKey(half);
        return [key, { items: perSecond(half.items, items.get(key)?.items, seconds), bytes: 0 }];
      }),
    );
    const frames = new Map(before!.tracks.map((track) => [trackKey(track), track]));
    this.tracks = new Map(
      view.tracks.map((track) => {
        const key = trackKey(track);
        const was = frames.get(key);
        return [
          key,
          { items: perSecond(track.frames, was?.frames, seconds), bytes: perSecond(track.bytes, was?.bytes, seconds) },
        ];
      }),
    );
  }

  ofStream(stream: StreamView): Flow {
    return this.streams.get(streamKey(stream)) ?? NONE;
  }

  ofTrack(track: TrackView): Flow {
    return this.tracks.get(trackKey(track)) ?? NONE;
  }
}

/** Counts begin anew with another wire: then nothing is known. */
function perSecond(now: bigint, before: bigint | undefined, seconds: number): number {
  return before === undefined || now < before ? 0 : Number(now - before) / seconds;
}
