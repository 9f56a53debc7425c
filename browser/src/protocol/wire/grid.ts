// Instants that many wires share, so that a process wakes once for all of them.
//
// Each is a whole number of milliseconds, which timers keep exactly.

/** Seconds: what is not urgent is due at multiples of it. */
const GRID = 0.25;
/** How many instants a second are shared by what is due several times in one. */
const FINE_A_SECOND = 20;

/** The last such instant not after `at`, in seconds. */
export function onGrid(at: number): number {
  return Math.floor(at / GRID) * GRID;
}

/** The last instant of the finer grid not after `at`. */
export function onFineGrid(at: number): number {
  return Math.floor(at * FINE_A_SECOND) / FINE_A_SECOND;
}

/** The instant of the finer grid that is nearest to `at`; of two, the even one. */
export function nearFineGrid(at: number): number {
  const steps = at * FINE_A_SECOND;
  const below = Math.floor(steps);
  const rest = steps - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (up ? below + 1 : below) / FINE_A_SECOND;
}
