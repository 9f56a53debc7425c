// Streams and media tracks of one actor, by name; and the pictures that it sends to this console.

import { useState } from "preact/hooks";

import type { StreamView, TrackView } from "../../gen/actr/services/inspection_pb";
import { Flows, streamKey, trackKey } from "../../model/flows";
import { bytes, count, many, rate, roundTrip } from "../../model/words";
import type { PanelProps } from "../actor/panels";
import { Id } from "../parts";
import { Previews } from "./previews";

/** Rows of each table. */
const MAX_ROWS = 64;

export function MediaPanel({ store, row }: PanelProps) {
  store.frame.value;
  const [flows] = useState(() => new Flows());
  const view = row.view!;
  flows.take(view);
  // The stream by which it tells all of this says nothing of the actor.
  const own = store.session?.id.text;
  const streams = (view.streams?.halves ?? []).filter(({ remote, routeKey }) => remote !== own || routeKey !== WATCH);
  const untold = (view.streams?.open ?? 0) - (view.streams?.halves.length ?? 0);
  return (
    <>
      {streams.length === 0 && view.tracks.length === 0 && <p class="muted">No stream is open, and no track is carried.</p>}
      {streams.length > 0 && <Streams streams={streams} flows={flows} />}
      {untold > 0 && <p class="muted">{many(untold, "more half")} of streams it does not tell of.</p>}
      {view.tracks.length > 0 && <Tracks tracks={view.tracks} flows={flows} />}
      <Previews store={store} row={row} />
    </>
  );
}

const WATCH = "actr.Inspection.Watch";

function Streams({ streams, flows }: { streams: readonly StreamView[]; flows: Flows }) {
  return (
    <div class="scroll flows" tabIndex={0} role="region" aria-label="Streams">
      <table>
        <caption>Streams</caption>
        <thead>
          <tr>
            {["Method or channel", "Way", "Far end", "Lane", "Items /s", "Items"].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {streams.slice(0, MAX_ROWS).map((stream) => (
            <tr key={streamKey(stream)}>
              <th scope="row" title={stream.channel}>
                <code>{stream.routeKey || stream.channel}</code>
              </th>
              <td>{stream.isOutbound ? "out" : "in"}</td>
              <td>
                <Id id={stream.remote} />
              </td>
              <td>
                <code>{stream.lane}</code>
              </td>
              <td class="number live">{rate(flows.ofStream(stream).items)}</td>
              <td class="number">{count(stream.items)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More number={streams.length} what="stream" />
    </div>
  );
}

function Tracks({ tracks, flows }: { tracks: readonly TrackView[]; flows: Flows }) {
  return (
    <div class="scroll flows" tabIndex={0} role="region" aria-label="Media tracks">
      <table>
        <caption>Media tracks</caption>
        <thead>
          <tr>
            {["Track", "Kind", "Codec", "Way", "Far end", "Frames /s", "Rate", "Lost", "Dropped", "Jitter", "Round trip"].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tracks.slice(0, MAX_ROWS).map((track) => {
            const flow = flows.ofTrack(track);
            return (
              <tr key={trackKey(track)}>
                <th scope="row">
                  <code>{track.trackId}</code>
                </th>
                <td>{track.kind}</td>
                <td>{track.codec || "not yet"}</td>
                <td>{track.isOutbound ? "out" : "in"}</td>
                <td>
                  <Id id={track.remote} />
                </td>
                <td class="number live">{rate(flow.items)}</td>
                <td class="number live">{bytes(flow.bytes)}/s</td>
                <td class={track.lost > 0n ? "number warn" : "number"}>{count(track.lost)}</td>
                <td class={track.dropped > 0n ? "number warn" : "number"}>{count(track.dropped)}</td>
                <td class="number">{roundTrip(track.jitterUs)}</td>
                <td class="number">{roundTrip(track.roundTripUs)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <More number={tracks.length} what="track" />
    </div>
  );
}

function More({ number, what }: { number: number; what: string }) {
  return number > MAX_ROWS ? <p class="muted">{many(number - MAX_ROWS, `more ${what}`)}.</p> : null;
}
