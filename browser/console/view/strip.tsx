// The life of one kind of wire of a link as a strip: from left to right, what it was when.

import { isUp, type Lives, type Span } from "../model/lives";
import { duration, many } from "../model/words";

export interface StripProps {
  readonly lives: Lives;
  readonly one: string;
  readonly other: string;
  readonly kind: string;
  /** The window that is shown, in milliseconds. */
  readonly from: number;
  readonly to: number;
}

export function Strip({ lives, one, other, kind, from, to }: StripProps) {
  const spans = lives.spans(one, other, kind, from, to);
  const part = (ms: number) => `${((100 * ms) / (to - from)).toFixed(3)}%`;
  return (
    <div class="strip" role="img" aria-label={inWords(kind, spans, (to - from) / 1000)}>
      {spans.map((span) => (
        <span
          key={span.from}
          class={`span-${span.state}`}
          style={{ left: part(span.from - from), width: part(span.to - span.from) }}
          title={`${span.state}, ${duration((span.to - span.from) / 1000)}`}
        />
      ))}
    </div>
  );
}

/** The same for who sees no strip. */
function inWords(kind: string, spans: readonly Span[], seconds: number): string {
  const cuts = spans.filter(({ state }, place) => state === "failed" && isUp(spans[place - 1]?.state)).length;
  const now = spans.at(-1)?.state ?? "not known";
  return `${kind}: ${now === "ready" ? "up" : now}; broke ${many(cuts, "time")} in ${duration(seconds)}`;
}
