"""The service ``actr.Files`` of every actor; it takes nothing until a folder is opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from typing import Protocol

from actr.services.files_actr import FilesService
from actr_peer.actor.files.folder import Folder
from actr_peer.actor.files.receiving import Receiving
from actr_peer.actor.files.rules import FileRules
from actr_peer.actor.files.transfer import Words
from actr_peer.errors import BusyError, CallError, Code
from actr_peer.protocol.files.messages import FilesReply
from actr_peer.protocol.identity import ActrId


class Asked(Protocol):
    """What is read of the request's :class:`~actr_peer.Context`."""

    @property
    def self_id(self) -> ActrId: ...

    @property
    def caller(self) -> ActrId: ...


class FilesHere(FilesService):
    """The service ``actr.Files`` of an actor: its folder, once there is one."""

    def __init__(self) -> None:
        self._receiving: Receiving | None = None

    def open(self, folder: str | PathLike[str], rules: FileRules | None = None) -> Receiving:
        """Take files into ``folder`` from now on.

        Raises:
            BusyError: If another folder takes them, or another receiver has this one.
            ConfigError: If the folder cannot be made or written.
        """
        if self._receiving is not None:
            raise BusyError(
                f"files are received into {self._receiving.folder.root} already; close that first"
            )
        self._receiving = Receiving(Folder(Path(folder)), rules or FileRules(), over=self._closed)
        return self._receiving

    def close(self) -> None:
        """The actor ends: take nothing more, and let the folder go."""
        if self._receiving is not None:
            self._receiving.close()

    def _closed(self, _: Receiving) -> None:
        self._receiving = None

    async def send(self, requests: Words, ctx: Asked, /) -> AsyncGenerator[FilesReply, None]:
        if self._receiving is None:
            raise CallError(
                Code.UNIMPLEMENTED,
                f"{ctx.self_id} takes no files now: it does after ref.receive_files(folder), "
                "or as 'actr receive FOLDER'",
            )
        async with aclosing(self._receiving.take(requests, ctx.caller)) as replies:
            async for reply in replies:
                yield reply
