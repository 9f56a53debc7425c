// What has come of a call: how it stands, its replies, its error.

import { useEffect, useState } from "preact/hooks";

import { isStream, type Reply, type Run } from "../../forms/run";
import type { Shown, ShownError } from "../../forms/shown";
import { bytes, count, many } from "../../model/words";
import { Mark, type Tone } from "../parts";

const TONES: Record<Run["state"], Tone> = { running: "warn", done: "good", failed: "bad", cancelled: "none" };
/** Milliseconds between two looks at the clock of a call that runs. */
const TICK = 200;

export function Results({ run }: { run: Run }) {
  return (
    <section class="results" aria-label="Result">
      <State run={run} />
      {run.error !== undefined && <Failure error={run.error} />}
      {run.replies.length > 0 && (
        <ol class="replies" reversed tabIndex={0} aria-label="Replies, newest first">
          {[...run.replies].reverse().map((reply) => (
            <OneReply key={reply.number} reply={reply} isAlone={run.received === 1} />
          ))}
        </ol>
      )}
      {run.leftOut > 0 && <p class="muted">{many(run.leftOut, "older reply").replace("replys", "replies")} came and are not kept.</p>}
    </section>
  );
}

function State({ run }: { run: Run }) {
  const [, tick] = useState(0);
  const isRunning = run.state === "running";
  useEffect(() => {
    if (isRunning) {
      const timer = setInterval(() => tick((before) => before + 1), TICK);
      return () => clearInterval(timer);
    }
    return undefined;
  }, [isRunning]);
  return (
    <p class="state">
      <span role="status">
        <Mark tone={TONES[run.state]}>{run.state}</Mark>
      </span>
      <span class="number">{seconds(run.seconds)}</span>
      {isStream(run.method.kind) && (
        <span class="number">
          {count(run.sent)} sent{run.waiting > 0 && `, ${count(run.waiting)} wait`}
          {run.isEnded && ", ended"}
        </span>
      )}
      <span class="number">
        {count(run.received)} {run.received === 1 ? "reply" : "replies"}, {bytes(run.receivedBytes)}
      </span>
    </p>
  );
}

function Failure({ error }: { error: ShownError }) {
  return (
    <div class="trouble" role="alert">
      <p>
        <strong>
          <bdi>{error.name}</bdi>
        </strong>{" "}
        <bdi>{error.text}</bdi>
      </p>
      {error.isRetryable && <p>The same call may work later.</p>}
      {error.domain && (
        <p>
          Of <bdi>{error.domain}</bdi>.
        </p>
      )}
      {error.details.map((detail, at) => (
        <div key={at}>
          <p>
            <code>{detail.type}</code>
          </p>
          <Text shown={detail} />
        </div>
      ))}
      {error.detailsLeftOut > 0 && <p>{many(error.detailsLeftOut, "more detail")}.</p>}
    </div>
  );
}

function OneReply({ reply, isAlone }: { reply: Reply; isAlone: boolean }) {
  return (
    <li>
      <span class="muted number">
        {!isAlone && `${count(reply.number)} · `}
        {seconds(reply.after)} · {bytes(reply.bytes)}
      </span>
      <Text shown={reply} />
    </li>
  );
}

/** A bounded text of somebody else's. */
export function Text({ shown }: { shown: Shown }) {
  return (
    <>
      {shown.isHex && <p class="muted">{shown.isWrong ? "Not the message that it is to be; as it came:" : "As it came:"}</p>}
      <pre>{shown.text}</pre>
      {shown.isCut && <p class="muted">Part of {bytes(shown.bytes)}.</p>}
    </>
  );
}

function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}
