// Waiting, in seconds.

import { realTime } from "../time";

/** Seconds of a clock that never goes back. */
export const monotonic = realTime.now;

/** A timer that has been set at most once. */
export class Timer {
  #takeBack: (() => void) | undefined;

  set(seconds: number, then: () => void): void {
    this.stop();
    this.#takeBack = realTime.after(seconds, then);
  }

  stop(): void {
    this.#takeBack?.();
  }
}

/** Settles as `work` does, or rejects with what `late` makes after so many seconds. */
export function within<T>(seconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const takeBack = realTime.after(seconds, () => reject(late()));
    work.then(resolve, reject).finally(takeBack);
  });
}

/** A wait that ends by itself, or when somebody wakes it. */
export class Nap {
  #wake: (() => void) | undefined;

  sleep(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const takeBack = realTime.after(seconds, resolve);
      this.#wake = () => {
        takeBack();
        resolve();
      };
    });
  }

  wake(): void {
    this.#wake?.();
  }
}
