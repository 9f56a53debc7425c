// In whose turn it is: an actor serves one message at a time, signals first, each lane in order.

import { PayloadType, type RpcLane } from "../protocol/payload";

/** Signals in a row while a normal message waits. */
const MAX_SIGNALS = 8;

interface Job {
  readonly run: () => Promise<void>;
}

export class Turns {
  private readonly waiting: Record<RpcLane, Job[]> = { 0: [], 1: [] };
  private signals = 0;
  private isBusy = false;

  /** Runs `run` in its turn; returns what takes that back while it waits. */
  submit(lane: RpcLane, run: () => Promise<void>): () => void {
    const job = { run };
    const queue = this.waiting[lane];
    queue.push(job);
    void this.go();
    return () => {
      const at = queue.indexOf(job);
      if (at >= 0) {
        queue.splice(at, 1);
      }
    };
  }

  private async go(): Promise<void> {
    if (this.isBusy) {
      return;
    }
    this.isBusy = true;
    for (let job = this.next(); job !== undefined; job = this.next()) {
      try {
        await job.run();
      } catch (error) {
        console.error(error); // one that has failed is no reason to serve no others
      }
    }
    this.isBusy = false;
  }

  private next(): Job | undefined {
    const { [PayloadType.RPC_RELIABLE]: normal, [PayloadType.RPC_SIGNAL]: signals } = this.waiting;
    if (signals.length > 0 && (normal.length === 0 || this.signals < MAX_SIGNALS)) {
      this.signals++;
      return signals.shift();
    }
    this.signals = 0;
    return normal.shift();
  }
}
