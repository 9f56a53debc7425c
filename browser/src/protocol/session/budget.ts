// Bounds on what a process holds for the far sides of all its links.
//
// Each session has bounds of its own, and there is no bound on the number of sessions. So what all
// of them hold together has one too: fragments of unfinished messages, frames that came early, and
// messages that wait to be stored.
//
// Where it is passed, whoever is asked drops one link: the one whose unfinished message is the
// oldest, for a sender that means to finish is soon done; where nothing is unfinished, the one that
// holds most.

import { LimitError } from "../../errors";

/** What a process holds for all far sides. */
export const MAX_BYTES = 256 * 1024 * 1024;

/** Shared by the sessions of one process. */
export class Budget {
  heldBytes = 0;
  private readonly accounts = new Set<Account>();

  constructor(readonly maxBytes: number = MAX_BYTES) {}

  /** An account for one session; end it with `Account.close`. */
  open(): Account {
    const account = new Account(this);
    this.accounts.add(account);
    return account;
  }

  /** Has sessions dropped until the bound holds. */
  keep(): void {
    while (this.heldBytes > this.maxBytes) {
      const error = new LimitError("bytes held for all remotes", this.maxBytes, this.heldBytes);
      const [first, ...others] = this.accounts;
      others.reduce((worst, each) => (each.isWorseThan(worst) ? each : worst), first!).fall(error);
    }
  }

  /** For accounts: one has ended. */
  forget(account: Account): void {
    this.accounts.delete(account);
  }
}

/** What one session holds, and since when something of it is unfinished. */
export class Account {
  heldBytes = 0;
  /** When its oldest unfinished message began, seconds; Infinity: all are whole. */
  since = Infinity;
  /** Called where this one has to go: ends what the account is for. */
  onDrop: (error: LimitError) => void = () => {};
  private isOpen = true;

  constructor(private readonly budget: Budget) {}

  /** Whether it goes before another one. */
  isWorseThan(other: Account): boolean {
    return this.since < other.since || (this.since === other.since && this.heldBytes > other.heldBytes);
  }

  /** It has to go, that the others have room. */
  fall(error: LimitError): void {
    this.close();
    this.onDrop(error);
  }

  /** The session holds so much now. */
  note(heldBytes: number, since: number): void {
    if (this.isOpen) {
      this.budget.heldBytes += heldBytes - this.heldBytes;
      this.heldBytes = heldBytes;
      this.since = since;
    }
  }

  /** The session is over. Twice is harmless. */
  close(): void {
    this.note(0, Infinity);
    this.isOpen = false;
    this.budget.forget(this);
  }
}
