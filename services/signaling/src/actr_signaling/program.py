"""Shell: what the programs of this package have in common: arguments, the loop, the ready line."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

EXIT_CONFIG = 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence, as everything else."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CONFIG, f"{self.prog}: {message} (see '{self.prog} -h')\n")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: half the cost of a message."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def add_announcing(parser: argparse.ArgumentParser) -> None:
    """The options that :func:`announcer` takes."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--ready-file", type=Path, help="write the ready line there, in place of standard output"
    )
    where.add_argument("--ready-fd", type=int, help="write the ready line to this descriptor")


def announcer(options: argparse.Namespace) -> Callable[[str], None]:
    """Tell a parent process, in one line of JSON, that connections are accepted, and where."""

    def announce(url: str) -> None:
        line = json.dumps({"event": "ready", "url": url}) + "\n"
        if options.ready_file is not None:
            # Whole or not at all: a watcher must not read half a line.
            draft = options.ready_file.with_name(options.ready_file.name + ".new")
            draft.write_text(line)
            draft.replace(options.ready_file)
        else:
            with open(
                1 if options.ready_fd is None else options.ready_fd,
                "w",
                closefd=options.ready_fd is not None,
            ) as out:
                out.write(line)

    return announce
