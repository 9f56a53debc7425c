// What a call takes beside its request: its time, and metadata.

/** As it is typed. */
export interface Asked {
  /** Seconds. */
  readonly timeout: string;
  /** `key = value`, one a line. */
  readonly metadata: string;
}

export interface Given {
  readonly timeout?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

const MAX_SECONDS = 24 * 60 * 60;
/** As envelopes have it (docs/protocol.md). */
const MAX_ENTRIES = 64;

/** What was typed, and what is wrong with it: empty if nothing is. */
export function askedOf({ timeout, metadata }: Asked): [Given, trouble: string] {
  const seconds = timeout.trim() === "" ? undefined : Number(timeout);
  if (seconds !== undefined && !(seconds > 0 && seconds <= MAX_SECONDS)) {
    return [{}, `the deadline: more than 0 and at most ${MAX_SECONDS} seconds`];
  }
  const entries = new Map<string, string>();
  for (const line of metadata.split("\n").filter((line) => line.trim() !== "")) {
    const [, key, value] = /^\s*([^=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) {
      return [{}, "metadata: key = value, one a line"];
    }
    entries.set(key, value);
  }
  if (entries.size > MAX_ENTRIES) {
    return [{}, `metadata: at most ${MAX_ENTRIES} entries`];
  }
  const given = { ...(seconds !== undefined && { timeout: seconds }) };
  return [entries.size > 0 ? { ...given, metadata: Object.fromEntries(entries) } : given, ""];
}

export function Options({ asked, change }: { asked: Asked; change: (asked: Asked) => void }) {
  return (
    <details class="options">
      <summary>Deadline and metadata</summary>
      <div class="place">
        <label for="call-timeout">
          Deadline <span class="type">seconds</span>
        </label>
        <input
          id="call-timeout"
          inputMode="decimal"
          autocomplete="off"
          placeholder="30 for a call, none for a stream"
          value={asked.timeout}
          onInput={(event) => change({ ...asked, timeout: event.currentTarget.value })}
        />
      </div>
      <div class="place">
        <label for="call-metadata">
          Metadata <span class="type">key = value, one a line</span>
        </label>
        <textarea
          id="call-metadata"
          class="code"
          rows={2}
          spellcheck={false}
          value={asked.metadata}
          onInput={(event) => change({ ...asked, metadata: event.currentTarget.value })}
        />
      </div>
    </details>
  );
}
