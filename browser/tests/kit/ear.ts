// Who hears of a wire, for tests.

import type { PeerError } from "../../src/errors";
import type { Wire, WireSink } from "../../src/wire/base";

export class Ear implements WireSink {
  readonly messages: [number, Uint8Array][] = [];
  end: { error: PeerError | undefined } | undefined;
  #wake: () => void = () => {};

  message(_wire: Wire, channel: number, data: Uint8Array): void {
    this.messages.push([channel, data]);
    this.#wake();
  }

  writable(): void {
    this.#wake();
  }

  closed(_wire: Wire, error: PeerError | undefined): void {
    this.end = { error };
    this.#wake();
  }

  get hasEnded(): boolean {
    return this.end !== undefined;
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
