// What time it is, and who is woken when: the one clock of the shells, which tests replace.

export interface Time {
  /** Seconds of a clock that starts anywhere and does not jump. */
  now(): number;

  /** Calls `action` after so many seconds; returns what takes that back. */
  after(seconds: number, action: () => void): () => void;
}

/** Longest that a timer of a browser can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

export const realTime: Time = {
  now: () => performance.now() / 1000,
  after: (seconds, action) => {
    const timer = setTimeout(action, Math.min(Math.max(0, seconds * 1000), LONGEST));
    return () => clearTimeout(timer);
  },
};
