"""One workload under ``actr dev``, from process to process."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from actr_peer.cli.demo.children import Child, how
from actr_peer.cli.exits import Exit
from actr_peer.cli.verbs.dev.running.life import Event, Life, State
from actr_peer.cli.verbs.dev.running.process import process
from actr_peer.cli.verbs.dev.shown.board import Row, Told, Wires
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.errors import RemoteProtocolError
from actr_peer.tasks import Tasks

PROGRAM: Final = (sys.executable, "-m", "actr_peer.cli.verbs.dev.running.actor", "{}")


class Runner:
    """Keeps one workload running: starts it, and starts it anew when files change, or it crashed.

    Args:
        row: What is shown of it; this writes it.
        environment: Of its processes.
        inspection: Whether others may look, where nothing is configured.
        show: Takes each line of their output.
        tell: Takes what becomes of it.
        redraw: Called when the row has changed.
    """

    def __init__(
        self,
        row: Row,
        environment: Mapping[str, str],
        inspection: str,
        *,
        show: Callable[[Line], None],
        tell: Callable[[Told], None],
        redraw: Callable[[], None],
    ) -> None:
        self._row = row
        self._environment = {
            **environment,
            "ACTR_ACTOR__ID": str(row.named.id),
            "ACTR_LOG__FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        self._command = (*PROGRAM, row.named.spec, inspection)
        self._show, self._tell, self._redraw = show, tell, redraw
        self._life = Life()
        self._wake = asyncio.Event()
        """Something of the next three is other than it was."""
        self._is_changed = self._is_ending = self._has_ended = False
        self._child: Child | None = None
        self._refusal = ""
        self._started = 0.0

    @property
    def label(self) -> str:
        return self._row.named.label

    def change(self) -> None:
        """Its code is other than it was."""
        self._is_changed = True
        self._wake.set()

    def end(self) -> None:
        """Stop it for good, and let it end in good order."""
        self._is_ending = True
        self._wake.set()

    def hurry(self) -> None:
        """Give its process no more time to end."""
        if self._child is not None:
            self._child.kill()

    async def run(self) -> None:
        """Keep it running, until :meth:`end`."""
        while not self._is_ending:
            match self._life.state:
                case State.RESTING:
                    await self._wait(self._life.rest)
                case State.WAITING:
                    await self._wait(None)
                case _:
                    await self._live()

    async def _wait(self, seconds: float | None) -> None:
        """Have no process, until a change, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                while not (self._is_changed or self._is_ending):
                    self._wake.clear()
                    await self._wake.wait()
            event = Event.CHANGE
        except TimeoutError:
            event = Event.RESTED
        self._go_on(event)

    def _go_on(self, event: Event) -> None:
        self._row.state = self._life.take(event, time.monotonic())
        self._redraw()

    async def _live(self) -> None:
        """One process, from its start to its end."""
        self._is_changed = self._has_ended = False
        self._refusal, self._started = "", time.monotonic()
        self._row.why = ""
        label = self._row.named.label
        async with (
            process(label, self._command, self._environment, self._show, self._hear) as started,
            Tasks(label) as tasks,
        ):
            self._child, self._row.pid = started, started.pid
            self._redraw()
            tasks.start("end", self._note_end(started))
            while not (self._has_ended or self._is_changed or self._is_ending):
                self._wake.clear()
                await self._wake.wait()
            if not self._has_ended:
                self._go_on(Event.CHANGE)
                await started.stop()
            status = await started.status()
        self._child = None
        self._row.clear()
        if not self._is_ending:
            self._take_end(status)

    async def _note_end(self, started: Child) -> None:
        await started.status()
        self._has_ended = True
        self._wake.set()

    def _hear(self, line: bytes) -> None:
        """Take one report of its process."""
        if not line.strip():
            return
        before = self._row.wires
        try:
            report = json.loads(line)
            if "refused" in report:
                self._refusal = str(report["refused"])
                return
            self._row.take(report)
        except (ValueError, TypeError, RemoteProtocolError) as exc:
            self._say("error", f"tells what is not understood: {exc}", level="error")
            return
        if self._life.state is State.STARTING:
            self._go_on(Event.READY)
            seconds = time.monotonic() - self._started
            self._say_state(f"online as {self._row.named.id} ({seconds:.1f} s)")
        self._say_wires(before)
        self._redraw()

    def _take_end(self, status: int) -> None:
        was = self._life.state
        if status == Exit.OK:
            event = Event.FINISHED
        elif was is State.STARTING and status == Exit.USAGE:
            event = Event.REFUSED
        else:
            event = Event.CRASHED
        self._go_on(event)
        if was is State.ENDING:
            return
        why = self._refusal or how(status)
        self._row.why = why
        if event is Event.CRASHED:
            then = f"starts again in {self._life.rest:g} s, or with the next change"
        else:
            then = "starts with the next change"
        is_start = was is State.STARTING and bool(self._refusal)
        text = f"does not start: {why}" if is_start else why
        level = "warning" if event is Event.FINISHED else "error"
        self._say_state(f"{text}; {then}", level=level)

    def _say_wires(self, before: Mapping[str, Wires]) -> None:
        now = self._row.wires
        for remote in sorted({*before, *now}):
            old, new = before.get(remote), now.get(remote)
            if (old.active if old else "") != (new.active if new else ""):
                what = new.text if new and new.active else "down"
                active = new.active if new else ""
                self._say(
                    "wire",
                    f"wire to {remote}: {what}",
                    data={"remote": remote, "wire": active},
                    is_in_table=True,
                )

    def _say_state(self, text: str, level: str = "info") -> None:
        row = self._row
        data = {"state": row.state.value, "pid": row.pid, "why": row.why}
        self._say("state", text, level=level, data=data)

    def _say(
        self,
        event: str,
        text: str,
        *,
        level: str = "info",
        data: Mapping[str, Any] | None = None,
        is_in_table: bool = False,
    ) -> None:
        named = self._row.named
        told = Told(
            event=event,
            text=text,
            who=named.label,
            level=level,
            data={"actor": str(named.id), **(data or {})},
            is_in_table=is_in_table,
        )
        self._tell(told)
