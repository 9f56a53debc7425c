"""``actr demo``: options, progress on standard error, the table or JSON on standard output."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Self

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from actr_peer.cli.demo import report
from actr_peer.cli.demo.page.show import open_page, show_page
from actr_peer.cli.demo.report import Choice, Event, Failed, Plan, Ready, Report, Row, RowDone, Size
from actr_peer.cli.demo.stage import ROOM_ID, Stage
from actr_peer.cli.exits import Exit
from actr_peer.cli.options import AsJson
from actr_peer.errors import BrokenError, ConfigError

WIDE: Final = 140
"""Columns in which a row and the words of its result fit."""

app = typer.Typer()


@app.command()
def demo(
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="Send this file; a video or sound file also goes out as media."),
    ] = None,
    wire: Annotated[Choice, typer.Option(help="Kinds of wire to use.")] = "both",
    size: Annotated[Size, typer.Option(help="How much to send.")] = "normal",
    browser: Annotated[
        bool,
        typer.Option("--browser", help="Serve a page that joins, until Ctrl-C, and open it."),
    ] = False,
    opens: Annotated[
        bool,
        typer.Option("--open/--no-open", help="With --browser: open the page, or only say where."),
    ] = True,
    is_json: AsJson = False,
) -> None:
    """Show all five payload types between two actors in two processes.

    Starts a signaling service on memory, a chat room and a caller, lets the caller talk to the
    room through generated code, and prints what went where. Nothing is left running.

    With --browser a page in your browser takes the caller's place: chat, files, camera, and a
    button that cuts the wire meanwhile. It ends with Ctrl-C.
    """
    if browser:
        serve_page(opens=opens, is_json=is_json)
        return
    if file is not None:
        file = file.expanduser()  # make and quotes keep the shell from it
        _check_file(file)
    plan = report.make_plan(ROOM_ID, wire=wire, size=size, file=file)
    try:
        with tempfile.TemporaryDirectory(prefix="actr-demo-") as folder, Screen() as screen:
            result = asyncio.run(_interruptible(plan, Path(folder), screen))
            if not result.ok:
                screen.logs(Path(folder))
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be what went away
            print("actr: interrupted; all processes of the demo have ended", file=sys.stderr)
        raise
    if is_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_table(result)
    raise typer.Exit(Exit.OK if result.ok else Exit.FAILED)


def serve_page(*, opens: bool, is_json: bool) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP, which end it as they should.

    Raises:
        BrokenError: If one of its processes ends by itself.
    """

    def ready(address: str) -> None:
        if is_json:
            print(json.dumps({"event": "ready", "url": address}), flush=True)
        is_seen = opens and open_page(address)
        if not is_json:
            word = "is open in your browser" if is_seen else "open it in a browser on this machine"
            print(f"{address}  {word}; open it twice; Ctrl-C ends all", flush=True)

    with tempfile.TemporaryDirectory(prefix="actr-demo-") as name, Screen() as screen:
        folder = Path(name)
        try:
            asyncio.run(_until_asked_to_stop(show_page(folder, screen.take, ready)))
        except BrokenError:
            screen.logs(folder)
            raise
    with suppress(OSError):  # the terminal may be what went away
        print("actr: all processes of the demo have ended", file=sys.stderr)


async def _until_asked_to_stop(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or to a signal."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await work


def _check_file(path: Path) -> None:
    """Find out before anything starts.

    Raises:
        ConfigError: If it is no file, or may not be read.
    """
    why = "it is no file"
    try:
        if path.is_file():
            path.open("rb").close()
            return
        why = "it is a folder" if path.is_dir() else "there is no such file"
    except OSError as exc:
        why = exc.strerror or str(exc)
    raise ConfigError(f"--file {str(path)!r}: {why}; give the path of a file to send")


async def _interruptible(plan: Plan, folder: Path, screen: Screen) -> Report:
    """Run the stage; SIGTERM and SIGHUP end it as Ctrl-C does, with all its processes."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await Stage(plan, folder, screen.take).perform()
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc


class Screen:
    """Progress on standard error: bars on a terminal, a line per result elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<21}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._by_type: dict[str, Callable[..., None]] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def take(self, name: str, event: Event) -> None:
        """Show one event of one process."""
        match event:
            case Ready():
                self._print(f"{name:<9} {event.id or event.url} is ready")
                if event.url:
                    self._print(f"{'':<9} identities are on; keys are made for this run alone")
            case report.Progress():
                self._progress(event)
            case RowDone():
                self._print(f"{event.row.payload_type:<21} {_outcome(event.row)}")
            case Failed():
                self._print(f"{name:<9} [red]{event.error}[/red]: {escape(event.text)}")
            case _:
                pass

    def _progress(self, event: report.Progress) -> None:
        bar = self._by_type.get(event.payload_type)
        if bar is None:
            number = self._bars.add_task(event.payload_type, total=event.total)

            def update(done: int, total: int) -> None:
                self._bars.update(number, completed=done, total=total)

            bar = self._by_type[event.payload_type] = update
        bar(event.done, event.total)

    def logs(self, folder: Path) -> None:
        """The last lines of what each process wrote: where to look when it failed."""
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            if lines:
                self._print(f"-- last lines of {log.stem}")
                self._print(escape("\n".join(lines)))

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def _outcome(row: Row) -> str:
    return f"{'ok' if row.ok else 'FAILED'}: {row.result}"


def _print_table(result: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDE + 20, highlight=False)
    is_wide = console.width >= WIDE
    table = Table("payload type", "lane", "wire", box=SIMPLE_HEAD if is_wide else None)
    table.pad_edge = is_wide
    for name in ("messages", "bytes", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for row in result.rows:
        colour = "green" if row.ok else "red"
        said = _outcome(row) if is_wide else _outcome(row).split(":")[0]
        table.add_row(
            row.payload_type,
            row.lane if is_wide else row.lane.split()[-1],
            row.wire or "-",
            str(row.messages),
            f"{row.bytes:,}",
            "-" if row.p50_ms is None else f"{row.p50_ms:.2f}",
            "-" if row.p99_ms is None else f"{row.p99_ms:.2f}",
            f"[{colour}]{escape(said)}[/{colour}]",
        )
    console.print(table)
    if not is_wide:  # the words of each result need a line of their own
        for row in result.rows:
            console.print(f"{row.payload_type}: {escape(row.result)}")
    passed = sum(row.ok for row in result.rows)
    verdict = f"{passed} of {len(result.rows)} payload types ok"
    peaks = ", ".join(
        f"{name} {peak / 1e6:.0f} MB" for name, peak in result.peak_memory_bytes.items()
    )
    console.print(f"{verdict}; {result.seconds} s; peak memory: {peaks or 'not known'}")
    if result.problem:
        console.print(f"[red]failed:[/red] {escape(result.problem)}")
