// What an actor sends to this console, seen and heard.
//
// A track goes to whom the actor's own code publishes it: nothing in the protocol has it sent to who
// asks. So what goes to others is listed, and what comes here is shown.

import { useEffect, useRef } from "preact/hooks";

import type { WebRtcWire } from "../../../src/wire/webrtc/wire";
import type { PanelProps } from "../actor/panels";

/** Tracks that are shown at once: each is decoded. */
const MAX_PREVIEWS = 4;

interface Preview {
  readonly id: string;
  readonly track: MediaStreamTrack;
}

export function Previews({ store, row }: PanelProps) {
  const own = store.session?.id.text;
  const others = row.view!.tracks.some(({ isOutbound, remote }) => isOutbound && remote !== own);
  const previews = previewsOf(store.session?.wireTo(row.id));
  const said = new Set(row.view!.tracks.filter(({ isOutbound, remote }) => isOutbound && remote === own).map(({ trackId }) => trackId));
  const shown = previews.filter(({ id }) => said.has(id));
  return (
    <>
      {shown.length > 0 && (
        <div class="previews">
          {shown.slice(0, MAX_PREVIEWS).map(({ id, track }) => (
            <One key={track.id} id={id} track={track} />
          ))}
        </div>
      )}
      {shown.length === 0 && others && (
        <p class="muted">
          What it sends to others cannot be seen from here: a track goes to whom its own code publishes it. One that it publishes to this
          console (<code>{own}</code>), in a method that is called above for example, is shown here.
        </p>
      )}
    </>
  );
}

/** The tracks that a wire brings, with the names that the far side has given them. */
function previewsOf(wire: WebRtcWire | undefined): Preview[] {
  const found: Preview[] = [];
  for (const { mid, currentDirection, receiver } of wire?.connection.getTransceivers() ?? []) {
    const id = mid === null ? undefined : wire!.farTrackIds[mid];
    if (id !== undefined && (currentDirection === "recvonly" || currentDirection === "sendrecv")) {
      found.push({ id, track: receiver.track });
    }
  }
  return found;
}

function One({ id, track }: Preview) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const { current } = video;
    if (current !== null) {
      current.srcObject = new MediaStream([track]);
      current.play().catch(() => {}); // it has controls
    }
    return () => {
      if (current !== null) {
        current.srcObject = null;
      }
    };
  }, [track]);
  return (
    <figure>
      <video ref={video} muted controls playsInline aria-label={`Track ${id}`} class={track.kind} />
      <figcaption>
        <code>{id}</code>
      </figcaption>
    </figure>
  );
}
