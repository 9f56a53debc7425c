"""The verbs of ``actr``, where each lives, and how all of them end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn

import typer
import typer.core
import typer.main

from actr_peer.cli.exits import Exit, explain, printable
from actr_peer.cli.workloads import near
from actr_peer.errors import ConfigError, PeerError
from actr_peer.tasks import first_cause

VERBS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "demo": ("actr_peer.cli.demo.command", "Five payload types between two processes."),
        "run": ("actr_peer.cli.verbs.run", "Run a workload as an actor."),
        "call": ("actr_peer.cli.verbs.call", "Call a method: JSON in, JSON out."),
        "describe": (
            "actr_peer.cli.verbs.contract.describe",
            "What an actor serves: methods, messages.",
        ),
        "ls": ("actr_peer.cli.verbs.ls", "Who is online, with services and load."),
        "record": ("actr_peer.cli.verbs.record", "Record tracks of an actor into a file."),
        "publish": ("actr_peer.cli.verbs.publish", "Send a media file's tracks to an actor."),
        "send": ("actr_peer.cli.verbs.send", "Send a file or a directory to an actor."),
        "receive": ("actr_peer.cli.verbs.receive", "Receive files into a folder."),
        "ps": ("actr_peer.cli.verbs.ps", "Actors, wires, lanes and mailbox of a running peer."),
        "mailbox": ("actr_peer.cli.verbs.mailbox", "List, show, replay and drop stored requests."),
        "config": ("actr_peer.cli.verbs.config", "Each configured value and where it came from."),
        "gen": ("actr_peer.cli.verbs.contract.gen", "Generate typed Python from .proto files."),
        "proto": (
            "actr_peer.cli.verbs.contract.proto_check",
            "Check a contract against an older one.",
        ),
        "exchange": ("actr_peer.cli.exchange.command", "The peer of the compose system."),
        "health": ("actr_peer.cli.verbs.health", "Whether the peer in this container is healthy."),
    }
)
"""Name to module and one line of help.

The module holds a Typer called ``app``, or a function of the verb's name where one will do.
"""

_COMPLETION: Final = ("install_completion", "show_completion")  # Typer's own, on every app
_CONTAINERS: Final = frozenset({"exchange", "health"})
"""Verbs of the containers, which are not shown among a person's."""
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What Typer raises for a command line that it cannot read; it has no public name."""


class _Verbs(typer.core.TyperGroup):
    """Loads the module of a verb when the verb is used, and not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, (module, _) in VERBS.items() if find_spec(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of verbs shows; the real command comes with :meth:`resolve_command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return typer.core.TyperCommand(
            name=cmd_name, help=VERBS[cmd_name][1], hidden=cmd_name in _CONTAINERS
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            verbs = [name for name in known if name not in _CONTAINERS]
            raise ConfigError(f"no verb {args[0]!r}{near(args[0], verbs)}")
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        command = typer.main.get_command(_load(name))
        command.params = [option for option in command.params if option.name not in _COMPLETION]
        return name, command, rest


def _load(verb: str) -> typer.Typer:
    module = import_module(VERBS[verb][0])
    found = getattr(module, "app", None)
    if isinstance(found, typer.Typer):
        return found
    alone = typer.Typer()
    alone.command(verb)(getattr(module, verb))
    return alone


app = typer.Typer(
    cls=_Verbs,
    help="Actors over WebRTC.",
    epilog="Exit codes: 0 worked, 1 failed, 2 usage or configuration, 3 unreachable, "
    "4 deadline, 5 refused, 6 busy, 7 over a limit, 8 broken, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(is_asked: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if is_asked:
        print(f"actr {version('actr-peer')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Actors over WebRTC."""


def run() -> NoReturn:
    """Run one verb; an error raised on purpose, or a command line that cannot be read, is one line
    on standard error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed: only the exit status speaks
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    try:
        code = app(prog_name="actr", standalone_mode=False)
    except _USAGE_ERROR as exc:
        _misused(exc)
    except (PeerError, BaseExceptionGroup) as exc:
        cause = first_cause(exc)
        if not isinstance(cause, PeerError):
            raise
        _end(cause)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _misused(error: Any) -> NoReturn:
    """What is wrong with the command line, and where it says what is right; exit code 2."""
    said = error.format_message().rstrip(".")
    if said:  # else it has shown its help, for it was given nothing
        said = said.replace(". Did you mean ", "; did you mean ")
        said = re.sub(r" \(Possible options: (.*)\)$", r"; did you mean \1?", said)
        path = error.ctx.command_path if error.ctx is not None else "actr"
        print(f"actr: {said[:1].lower()}{said[1:]} (see '{path} -h')", file=sys.stderr)
    sys.exit(Exit.USAGE)


def _end(error: PeerError) -> NoReturn:
    code, text = explain(error)
    print(f"actr: {printable(text)}", file=sys.stderr)
    sys.exit(code)
