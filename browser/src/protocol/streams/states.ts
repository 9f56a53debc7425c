// Where a half of a stream is, and what moves it: one table.
//
// What the table does not hold changes nothing: it is word that comes late.

/** Which half it is. */
export type Side = "writer" | "reader";

/** Where a half is. */
export enum State {
  /** The reader has not said yet that it listens: nothing may be sent. */
  WAITING = "waiting",
  OPEN = "open",
  /** The writer has ended it; the end, or items before it, are still on their way. */
  HALF_CLOSED = "half closed",
  ENDED = "ended",
  /** The far side, the network, or a broken rule took it away. */
  FAILED = "failed",
}

/** What moves a half. */
export enum Input {
  GRANT = "grant",
  END = "end",
  /** The end has come and all items before it were taken. */
  DRAINED = "drained",
  /** The reader takes no more. */
  CLOSE = "close",
  /** An error of the far half, a cancel, a reset, or a broken rule. */
  FAIL = "fail",
}

type Moves = Partial<Record<State, Partial<Record<Input, State>>>>;

const FAILS = { [Input.FAIL]: State.FAILED };
const LEAVES = { ...FAILS, [Input.CLOSE]: State.ENDED };

export const TABLE: Readonly<Record<Side, Moves>> = {
  writer: {
    [State.WAITING]: { [Input.GRANT]: State.OPEN, [Input.END]: State.HALF_CLOSED, ...FAILS },
    [State.OPEN]: { [Input.GRANT]: State.OPEN, [Input.END]: State.ENDED, ...FAILS },
    [State.HALF_CLOSED]: { [Input.GRANT]: State.ENDED, ...FAILS },
  },
  reader: {
    [State.WAITING]: { [Input.GRANT]: State.OPEN, ...LEAVES },
    [State.OPEN]: { [Input.GRANT]: State.OPEN, [Input.END]: State.HALF_CLOSED, ...LEAVES },
    [State.HALF_CLOSED]: { [Input.DRAINED]: State.ENDED, ...LEAVES },
  },
};

export function isOver(state: State): boolean {
  return state === State.ENDED || state === State.FAILED;
}
