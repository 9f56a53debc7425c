// Waiting, in seconds.

/** Seconds of a clock that never goes back. */
export function monotonic(): number {
  return performance.now() / 1000;
}

/** A timer that has been set at most once. */
export class Timer {
  #id: ReturnType<typeof setTimeout> | undefined;

  set(seconds: number, then: () => void): void {
    this.stop();
    this.#id = setTimeout(then, seconds * 1000);
  }

  stop(): void {
    clearTimeout(this.#id);
  }
}

/** Settles as `work` does, or rejects with what `late` makes after so many seconds. */
export function within<T>(seconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, seconds) * 1000);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A wait that ends by itself, or when somebody wakes it. */
export class Nap {
  #wake: (() => void) | undefined;

  sleep(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake(): void {
    this.#wake?.();
  }
}
