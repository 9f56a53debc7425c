"""Sans-I/O: bounds on what a process holds for the far sides of all its links.

Each session has bounds of its own, and there is no bound on the number of sessions: identities
are cheap where nobody proves his. So what all of them hold together has a bound too: fragments
of unfinished messages, frames that came early, and messages that wait for the mailbox.

Where it is passed, whoever is asked drops one link: the one whose unfinished message is the
oldest, for a sender that means to finish is soon done; where nothing is unfinished, the one
that holds most.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from actr_peer.errors import LimitError

MAX_BYTES = 256 * 1024 * 1024
"""What a process holds for all far sides."""

Drop = Callable[[LimitError], None]


class Budget:
    """Shared by the sessions of one process.

    Args:
        max_bytes: Over all accounts.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self.dropped = 0
        """Sessions that were dropped to keep the bound."""
        self._accounts: set[Account] = set()

    def open(self, drop: Drop | None = None) -> Account:
        """An account for one session; end it with :meth:`Account.close`.

        Args:
            drop: As :meth:`Account.on_drop`; None: its owner says it later.
        """
        account = Account(self, drop)
        self._accounts.add(account)
        return account

    @property
    def is_over(self) -> bool:
        return self.held_bytes > self.max_bytes

    def keep(self) -> None:
        """Have sessions dropped until the bound holds."""
        while self.held_bytes > self.max_bytes:
            asked = self.held_bytes
            account = min(self._accounts, key=lambda each: (each.since, -each.held_bytes))
            self.dropped += 1
            error = LimitError("bytes held for all remotes", limit=self.max_bytes, asked=asked)
            account.fall(error)

    def forget(self, account: Account) -> None:
        """For accounts: one has ended."""
        self._accounts.discard(account)


class Holding:
    """What waits here for one far side to take it, or for this side to: how much, and since when
    none of it has moved. Where all of them hold too much, the one that has stood longest goes.

    Args:
        drop: Ends what it is for, and lets go of all that is held.
    """

    __slots__ = ("_account", "_budget")

    def __init__(self, budget: Budget, drop: Drop) -> None:
        self._budget = budget
        self._account = budget.open(drop)

    def __bool__(self) -> bool:
        """Whether anything is counted."""
        return self._account.held_bytes > 0

    def weigh(self, held_bytes: int, now: float) -> None:
        """So much is held now, and who is to go for it goes; tell it whenever it becomes less."""
        account = self._account
        has_moved = held_bytes < account.held_bytes or not account.held_bytes
        since = now if has_moved else account.since
        account.note(held_bytes, since if held_bytes else inf)
        if self._budget.is_over:
            self._budget.keep()

    def close(self) -> None:
        """Nothing is held any more. Twice is harmless."""
        self._account.close()


class Account:
    """What one session holds, and since when something of it is unfinished.

    Attributes:
        since: When its oldest unfinished message began, seconds; inf: all are whole.
    """

    __slots__ = ("_budget", "_drop", "_is_open", "held_bytes", "since")

    def __init__(self, budget: Budget, drop: Drop | None) -> None:
        self._budget = budget
        self._drop = drop
        self._is_open = True
        self.held_bytes = 0
        self.since = inf

    def on_drop(self, drop: Drop) -> None:
        """Have ``drop`` called where this one has to go: it ends what the account is for."""
        self._drop = drop

    def fall(self, error: LimitError) -> None:
        """It has to go, that the others have room."""
        self.close()
        if self._drop is not None:
            self._drop(error)

    def note(self, held_bytes: int, since: float) -> None:
        """The session holds so much now."""
        if self._is_open:
            self._budget.held_bytes += held_bytes - self.held_bytes
            self.held_bytes = held_bytes
            self.since = since

    def close(self) -> None:
        """The session is over. Twice is harmless."""
        self.note(0, inf)
        self._is_open = False
        self._budget.forget(self)
