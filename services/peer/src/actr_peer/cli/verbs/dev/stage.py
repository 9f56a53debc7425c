"""Everything that ``actr dev`` runs, from its start to its end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from actr_peer.cli.verbs.dev import changes, contracts
from actr_peer.cli.verbs.dev.named import Named
from actr_peer.cli.verbs.dev.running import console, presence
from actr_peer.cli.verbs.dev.running.identities import Identities
from actr_peer.cli.verbs.dev.running.runner import Runner
from actr_peer.cli.verbs.dev.running.signaling import Signaling, free_port
from actr_peer.cli.verbs.dev.shown.board import Board, Told
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.cli.verbs.dev.shown.screen import Screen
from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.config.development import REPORT, SIGNALING, SOCKET, Keys, asked
from actr_peer.node.config.loading import variable, with_keys
from actr_peer.node.config.settings import Settings
from actr_peer.node.process.socket import ControlSocket
from actr_peer.protocol.signaling.presence import Change
from actr_peer.tasks import Tasks

PAUSE: Final = 0.3
"""Seconds between two looks at the files; ten times as long as a look takes, where that is more."""
DEVELOPMENT: Final = "DEVELOPMENT MODE"
"""How the warning begins that is none here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to run."""

    workloads: tuple[Named, ...]
    realm: str
    settings: Settings
    """Of the folder."""
    identities: Identities
    """What proves who is who."""
    signaling: str | None
    """URL of a service that runs already; None: start one."""
    folder: Path
    config: Path | None = None
    """The file in place of ``actr.toml``."""
    is_reloading: bool = True


class Stage:
    """One run of ``actr dev``.

    Args:
        screen: Where everything is shown.
    """

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._screen = screen
        self._board = Board(plan.workloads)
        self._runners: list[Runner] = []
        self._asked = asyncio.Event()
        self._own = {str(named.id) for named in plan.workloads}

    def stop(self) -> None:
        """End everything in good order; asked once more, at once."""
        if self._asked.is_set():
            for runner in self._runners:
                runner.hurry()
        self._asked.set()

    async def perform(self) -> None:
        """Run until :meth:`stop`; when it returns, or is cancelled, no process is left.

        Raises:
            BusyError: If another ``actr dev`` runs in this folder.
            ConfigError: If the signaling service cannot start, or there is no place for ``.actr``.
            BrokenError: If that is not ready in time.
        """
        _refuse_second(self._plan.folder)
        try:
            await self._perform()
        finally:
            console.remove_page(self._plan.folder)

    async def _perform(self) -> None:
        seen = await asyncio.to_thread(changes.look, self._plan.folder)
        seen = await self._generate(contracts.stale(self._plan.folder, seen), seen)
        async with self._signaling() as url, self._socket(url), Tasks("dev") as tasks:
            self._board.signaling = url
            self._screen.begin(self._board)
            self._tell("ready", f"signaling on {url}", signaling=url)
            self._tell_of_identities()
            self._tell_of_console(url)
            self._tell("hint", "in this folder, `actr ls`, `actr call` and your programs find it")
            keys = self._keys(url)
            self._runners = [self._runner(number, keys) for number in range(len(self._board.rows))]
            async with Tasks("workloads") as workloads:
                running = [workloads.start(runner.label, runner.run()) for runner in self._runners]
                settings = with_keys(self._plan.settings, keys)
                watching = presence.watch(settings, self._plan.realm, self._heard)
                tasks.start("presence", watching)
                if self._plan.is_reloading:
                    tasks.start("files", self._watch(seen))
                await self._asked.wait()
                self._tell("ending", "ending all")
                for runner in self._runners:
                    runner.end()
                await asyncio.gather(*running)

    @asynccontextmanager
    async def _signaling(self) -> AsyncIterator[str]:
        if self._plan.signaling is not None:
            yield self._plan.signaling
            return
        service = Signaling(
            free_port(),
            self._plan.identities.service,
            partial(self._show_quiet, "signaling"),
            self._lost,
            self._back,
        )
        async with Tasks("dev/signaling") as tasks:
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            tasks.start("service", service.run(ready))
            yield await ready

    @asynccontextmanager
    async def _socket(self, url: str) -> AsyncIterator[None]:
        """Where other verbs in this folder ask for the signaling service."""

        def report() -> dict[str, Any]:
            actors = {
                str(row.named.id): {"state": row.state.value, "why": row.why}
                for row in self._board.rows
            }
            return {"pid": os.getpid(), "actors": actors, "settings": self._keys(url)}

        health = {"id": "actr dev", "pid": os.getpid(), "healthy": True}
        reports = {REPORT: report, "health": lambda: health}
        async with ControlSocket(self._plan.folder / SOCKET, reports):
            yield

    def _keys(self, url: str) -> Keys:
        """What actors in this folder are configured with."""
        return {SIGNALING: url, **self._plan.identities.keys(url)}

    def _runner(self, number: int, keys: Keys) -> Runner:
        row = self._board.rows[number]
        environment = {**os.environ, **{variable(key): text for key, text in keys.items()}}
        if self._plan.config is not None:
            environment["ACTR_CONFIG"] = str(self._plan.config.absolute())
        # Who has an identity of this folder may operate, too; where nobody proves anything that
        # would be everybody on this machine. In a realm of others it is theirs to say.
        inspection = "look" if self._plan.identities.is_development else "operate"
        if self._plan.signaling is not None:
            inspection = "off"
        return Runner(
            row,
            environment,
            inspection,
            show=partial(self._show, row.named.label),
            tell=self._screen.tell,
            redraw=self._screen.redraw,
        )

    # Files

    async def _watch(self, seen: changes.Stamps) -> None:
        """See what changes, and do what it asks for."""
        loop, pause = asyncio.get_running_loop(), PAUSE
        while True:
            await asyncio.sleep(pause)
            began = loop.time()
            now = await asyncio.to_thread(changes.look, self._plan.folder)
            pause = max(PAUSE, 10 * (loop.time() - began))
            if now == seen:
                continue
            while now != (later := await self._later(pause)):
                now = later  # a save of several files is one change
            paths = changes.changed(seen, now)
            protos = [path for path in paths if path.endswith(".proto") and path in now]
            after = await self._generate(protos, now)
            paths = changes.changed(seen, after)
            seen = after
            self._change([path for path in paths if not path.endswith(".proto")])

    async def _later(self, pause: float) -> changes.Stamps:
        await asyncio.sleep(min(pause, PAUSE))
        return await asyncio.to_thread(changes.look, self._plan.folder)

    async def _generate(self, paths: Sequence[str], seen: changes.Stamps) -> changes.Stamps:
        """Generate modules of contracts; returns what there is then."""
        if not paths:
            return seen
        try:
            written = await asyncio.to_thread(contracts.regenerate, self._plan.folder, paths)
        except ConfigError as exc:
            self._tell("refused", f"{', '.join(paths)}: {exc}", level="error", files=list(paths))
            return seen
        if written:
            self._tell("generated", f"{', '.join(paths)} → {', '.join(written)}", files=written)
        return await asyncio.to_thread(changes.look, self._plan.folder)

    def _change(self, paths: Sequence[str]) -> None:
        """Start anew whom a change concerns: who has loaded a file of it, or does not run."""
        if not paths:
            return
        chosen = [
            runner
            for runner, row in zip(self._runners, self._board.rows, strict=True)
            if row.files is None or changes.CONFIG in paths or not row.files.isdisjoint(paths)
        ]
        if chosen:
            paths = self._loaded(paths)
            labels = [runner.label for runner in chosen]
            shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if paths[3:] else "")
            verb = "starts" if len(labels) == 1 else "start"
            text = f"{shown} changed: {', '.join(labels)} {verb} anew"
            self._tell("changed", text, files=list(paths), actors=labels)
        for runner in chosen:
            runner.change()

    def _loaded(self, paths: Sequence[str]) -> Sequence[str]:
        """Those that somebody has loaded, where that is the reason; else all."""
        loaded = {file for row in self._board.rows for file in row.files or ()}
        return [path for path in paths if path in loaded] or paths

    # What is shown

    def _show(self, label: str, line: Line) -> None:
        if not (line.level and line.text.startswith(DEVELOPMENT)):
            self._screen.show(label, line)

    def _show_quiet(self, label: str, line: Line) -> None:
        """Show what is no mere information."""
        if line.level not in ("debug", "info"):
            self._show(label, line)

    def _lost(self, how: str, rest: float) -> None:
        console.remove_page(self._plan.folder)  # another program may listen there meanwhile
        self._tell_of_signaling(f"{how}; starts again in {rest:g} s", "error")

    def _back(self, url: str) -> None:
        self._tell_of_signaling(f"again on {url}")
        self._tell_of_console(url)

    def _tell_of_identities(self) -> None:
        found = self._plan.identities
        level = "warning" if found.is_development else "info"
        self._tell("identities", found.text, level, development=found.is_development)

    def _tell_of_console(self, url: str) -> None:
        plan = self._plan
        if plan.signaling is not None:
            return
        try:
            page = console.write_page(plan.folder, url, plan.realm, plan.identities, plan.settings)
        except OSError as exc:
            text = f"{console.PAGE}: {exc.strerror}: the console will ask for the realm's secret"
            self._tell("console", text, "warning")
            page = None
        address = console.address_of(url)
        how = "" if page is None else f"; {console.PAGE} opens it with what it asks for"
        self._tell("console", f"console on {address}{how}", address=address, page=str(page or ""))

    def _tell_of_signaling(self, text: str, level: str = "info") -> None:
        self._screen.tell(Told(event="signaling", text=text, who="signaling", level=level))

    def _heard(self, actor: str, change: Change) -> None:
        is_online = change is not Change.LEAVE
        if actor in self._own or is_online == (actor in self._board.visitors):
            return
        if is_online:
            self._board.visitors.add(actor)
        else:
            self._board.visitors.discard(actor)
        text = f"{actor} is {'online' if is_online else 'offline'}"
        data = {"actor": actor, "online": is_online}
        self._screen.tell(Told(event="presence", text=text, data=data, is_in_table=True))
        self._screen.redraw()

    def _tell(self, event: str, text: str, level: str = "info", **data: object) -> None:
        self._screen.tell(Told(event=event, text=text, level=level, data=data))


def _refuse_second(folder: Path) -> None:
    found = asked(folder)
    if found is not None:
        raise BusyError(
            f"actr dev runs in this folder already (pid {found.get('pid')}): stop that one, or add "
            "this workload to its command line"
        )
