"""What a process writes, as lines to show: logs in JSON to plain words, all else as it is; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MAX_LINE_BYTES: Final = 64 * 1024
"""Of one line that is kept together; a longer one goes on in the next."""
MAX_VALUE_CHARACTERS: Final = 400
"""Of one field of a log line."""
_OWN: Final = ("event", "level", "timestamp", "logger", "exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a process's output."""

    text: str
    level: str = ""
    """Of a log; empty: somebody printed it."""
    fields: tuple[tuple[str, str], ...] = ()
    """What the log says besides."""
    more: tuple[str, ...] = ()
    """A traceback, line by line."""

    @property
    def is_bad(self) -> bool:
        return self.level in ("error", "critical")


def read_line(text: str) -> Line:
    """Read one line of output."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and isinstance(found.get("event"), str):
            return _log(found)
    return Line(text=text)


def _log(found: dict[str, Any]) -> Line:
    exception = found.get("exception")
    return Line(
        text=found["event"],
        level=str(found.get("level") or "info"),
        fields=tuple((key, _value(value)) for key, value in found.items() if key not in _OWN),
        more=tuple(str(exception).splitlines()) if exception else (),
    )


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[: MAX_VALUE_CHARACTERS - 1] + "…"
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class Splitter:
    """Bytes as they come, to whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Take more; return each line that is whole, or longer than is kept together."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._pieces(line)
        while len(self._rest) >= MAX_LINE_BYTES:
            head, self._rest = self._rest[:MAX_LINE_BYTES], self._rest[MAX_LINE_BYTES:]
            yield _text(head)

    def end(self) -> Iterator[str]:
        """The last line, if nothing ended it."""
        rest, self._rest = self._rest, b""
        if rest:
            yield _text(rest)

    def _pieces(self, line: bytes) -> Iterator[str]:
        for at in range(0, max(1, len(line)), MAX_LINE_BYTES):
            yield _text(line[at : at + MAX_LINE_BYTES])


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", errors="replace")
