"""Shell: one text of the issuer's, read again when it has changed. Blocking: called in a thread."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

SECONDS = 5.0
"""For one answer of the issuer, between its bytes."""


class SourceError(Exception):
    """It cannot be read now; the text says why, and names it."""


class Source(Protocol):
    def read(self) -> bytes | None:
        """What it says; None: what it said the last time.

        Raises:
            SourceError: If it cannot be read now.
        """

    def forget(self) -> None:
        """What was read could not be used: read it again the next time, changed or not."""


def source(place: str, most: int) -> Source:
    """A file, or the address of an issuer, of at most ``most`` bytes."""
    if place.startswith(("http://", "https://")):
        return _Address(place, most)
    return _File(Path(place), most)


class _File:
    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> bytes | None:
        try:
            # Written anew in place, or moved there: either changes one of these.
            state = self._path.stat()
            seen = state.st_mtime_ns, state.st_size, state.st_ino
            if seen == self._seen:
                return None
            with self._path.open("rb") as file:
                data = file.read(self._most + 1)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise SourceError(f"{self._path}: {why}") from exc
        _check_size(str(self._path), data, self._most)
        self._seen = seen
        return data

    def forget(self) -> None:
        self._seen = None


class _Address:
    """Asked there and nowhere else: no redirect is followed, no proxy of the environment used."""

    def __init__(self, url: str, most: int) -> None:
        self._url = url
        self._most = most
        self._tag = ""

    def read(self) -> bytes | None:
        try:
            parts = urlsplit(self._url)
            kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
            connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
            with closing(connection):
                path = parts.path or "/"
                headers = {"If-None-Match": self._tag} if self._tag else {}
                target = f"{path}?{parts.query}" if parts.query else path
                connection.request("GET", target, headers=headers)
                answer = connection.getresponse()
                data = answer.read(self._most + 1)
        except (OSError, HTTPException, ValueError) as exc:
            raise SourceError(f"{self._url}: {exc or type(exc).__name__}") from exc
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return None
        if answer.status != HTTPStatus.OK:
            raise SourceError(f"{self._url}: {answer.status} {answer.reason}")
        _check_size(self._url, data, self._most)
        self._tag = answer.headers.get("ETag", "")
        return data

    def forget(self) -> None:
        self._tag = ""


def _check_size(place: str, data: bytes, most: int) -> None:
    if len(data) > most:
        raise SourceError(f"{place}: over {most} bytes")
