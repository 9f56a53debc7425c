"""Sans-I/O: what watchers are still to be told: for each actor, from what to what.

An actor that changes often before anybody is told is told once: from the state that watchers
know to the newest. In the order of the newest changes, so that versions rise.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Moved


class Untold:
    """Changes that are not told yet; as many as there are actors, at most."""

    def __init__(self) -> None:
        # Its first is found at once, also when many before it are gone.
        self._moves: OrderedDict[str, Moved] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._moves)

    def __len__(self) -> int:
        return len(self._moves)

    def __contains__(self, text: str) -> bool:
        return text in self._moves

    @property
    def known(self) -> list[Entry]:
        """What watchers still know of those who have changed."""
        return [move.old for move in self._moves.values() if move.old is not None]

    @property
    def version(self) -> int:
        """The lowest that is to be told.

        Raises:
            StopIteration: If nothing is.
        """
        return next(iter(self._moves.values())).version

    def add(self, moved: Moved) -> None:
        """Take a change; versions never fall from one to the next."""
        before = self._moves.pop(moved.text, None)
        self._moves[moved.text] = moved if before is None else replace(moved, old=before.old)

    def drop(self, actr_type: str) -> int:
        """Forget what there is of a type, or of all where it is empty; return how many they are."""
        gone = [text for text, one in self._moves.items() if actr_type in ("", one.actr_type)]
        for text in gone:
            del self._moves[text]
        return len(gone)

    def take(self) -> Moved:
        """The next to tell, taken out.

        Raises:
            StopIteration: If nothing is.
        """
        return self._moves.pop(next(iter(self._moves)))
