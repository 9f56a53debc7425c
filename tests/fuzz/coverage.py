"""Which lines of the services an input reaches that none has reached before.

Python 3.12 tells of each line once and never again (PEP 669), which costs nothing. Before that a
trace function is called for each call and each line of what has lines left, which costs three times
what the input does: there only some inputs are watched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SERVICES = (str(ROOT / "services/peer/src"), str(ROOT / "services/signaling/src"))
EACH = 8
"""Of so many inputs one is watched where that costs."""
IS_FREE = sys.version_info >= (3, 12)


class Lines:
    """The lines below some folders that were reached while watching.

    Attributes:
        count: How many.
    """

    def __init__(self, folders: tuple[str, ...] = SERVICES) -> None:
        self.count = 0
        self._folders = folders
        # By identity: code of two files that are alike is equal. What it is of is kept beside it.
        self._left: dict[int, tuple[CodeType, set[int]]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what runs inside."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def is_due(self, number: int) -> bool:
        """Whether the input of this number is to be watched."""
        return number % EACH == 0

    def end(self) -> None:
        """Nothing more is watched."""

    def _called(self, frame: FrameType, event: str, arg: object) -> Any:
        del event, arg
        return self._line if self._of(frame.f_code) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        del arg
        if event == "line":
            self.reached(frame.f_code, frame.f_lineno)
        return self._line

    def reached(self, code: CodeType, line: int) -> None:
        """A line has run."""
        left = self._of(code)
        if line in left:
            left.discard(line)
            self.count += 1

    def _of(self, code: CodeType) -> set[int]:
        """The lines of some code that are left."""
        known = self._left.get(id(code))
        if known is None:
            is_ours = code.co_filename.startswith(self._folders)
            left = {line for _, _, line in code.co_lines() if line} if is_ours else set[int]()
            known = self._left[id(code)] = code, left
        return known[1]


if sys.version_info >= (3, 12):

    class FreeLines(Lines):
        """The same by the interpreter's own monitoring."""

        def __init__(self, folders: tuple[str, ...] = SERVICES) -> None:
            super().__init__(folders)
            tools = sys.monitoring
            self._tool = next(number for number in (3, 4) if tools.get_tool(number) is None)
            tools.use_tool_id(self._tool, "actr-fuzz")
            tools.register_callback(self._tool, tools.events.LINE, self._heard)
            tools.set_events(self._tool, tools.events.LINE)
            tools.restart_events()

        @contextmanager
        def watching(self) -> Iterator[None]:
            yield

        def is_due(self, number: int) -> bool:
            return True

        def end(self) -> None:
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.free_tool_id(self._tool)

        def _heard(self, code: CodeType, line: int) -> Any:
            self.reached(code, line)
            return sys.monitoring.DISABLE


def lines(folders: tuple[str, ...] = SERVICES) -> Lines:
    """What this Python does it with."""
    if sys.version_info >= (3, 12):
        return FreeLines(folders)
    return Lines(folders)


class Steps:
    """Lines of Python that run inside, of whatever file: what an input costs, on any machine."""

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count; end with :class:`TooManyStepsError` when there are more than allowed."""
        before = sys.gettrace()
        sys.settrace(self._step)
        try:
            yield
        finally:
            sys.settrace(before)

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        del frame, arg
        if event == "line":
            self.taken += 1
            if self.taken > self._most:
                raise TooManyStepsError(f"over {self._most} lines of Python for one input")
        return self._step


class TooManyStepsError(BaseException):
    """One input costs more than its length allows. No ``except Exception`` stops it."""
