"""Arguments and options that several verbs have, said the same way.

The flags of every verb that makes an actor say who it is, and where it finds and keeps things. A
verb takes them as one ``flags``, its last parameter::

    @app.command()
    @with_flags
    def run(workload: ..., *, flags: Flags) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import caller_config
from actr_peer.node.config.loading import FLAGS, load
from actr_peer.node.config.reading import own_id
from actr_peer.node.config.settings import Settings
from actr_peer.protocol.identity import ActrId, ActrType

ActorArgument: TypeAlias = Annotated[
    str, typer.Argument(help="Whom, as acme:room@2:default; acme:room is the best one online.")
]
Timeout: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Seconds for all of it, start and connecting too.")
]
TargetArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ACTOR", help="To whom, as acme:room@2:default.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON document.")]
AsLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document a line, as things happen.")
]
ShowAll: TypeAlias = Annotated[
    bool,
    typer.Option("--all", help="Also what is not the user's: services and actors of actr's own."),
]
Include: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("-I", "--include", help="Directory in which imports are found; repeatable."),
]
ConfigFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="Read this file, not ./actr.toml or what ACTR_CONFIG names.")
]
IdFlag: TypeAlias = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="Who it is, as acme:room@2:default.")
]
_TYPES: Final[dict[str, Any]] = {
    "id": IdFlag,
    "signaling": Annotated[
        str | None, typer.Option(metavar="URL", help="The service, as ws://127.0.0.1:8080/v1/ws.")
    ],
    "mailbox": Annotated[
        str | None, typer.Option(metavar="FILE", help="Where requests wait; '': in memory.")
    ],
    "listen": Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="For WebSockets; port 0: a free one; '': none."),
    ],
    "config": ConfigFile,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says of the actor that a verb makes; None: nothing."""

    id: str | None = None
    signaling: str | None = None
    mailbox: str | None = None
    listen: str | None = None
    config: Path | None = None

    @property
    def given(self) -> dict[str, str]:
        """By the keys of the configuration."""
        values = {key: getattr(self, flag.removeprefix("--")) for key, flag in FLAGS.items()}
        return {key: value for key, value in values.items() if value is not None}

    def settings(self) -> Settings:
        """The configuration, with these above all else.

        Raises:
            ConfigError: If one of its values cannot be used.
        """
        return load(self.config, self.given).settings

    def caller(
        self, verb: str, whom: ActrId | ActrType | None = None, *, realm: str = ""
    ) -> NodeConfig:
        """Of an actor ``actr:<verb>``, for as long as the verb runs: with an id of its own, nothing
        kept, and no listener, where the flags do not say otherwise. It takes no other process's
        identity.

        Args:
            whom: Who is called: the realm is that actor's.
            realm: Else this one; empty: that of the configuration.

        Raises:
            ConfigError: As :meth:`settings`; or if it were the very actor that is called.
        """
        settings = self.settings()
        if self.id is not None and own_id(self.id) == whom:
            raise ConfigError(
                f"--id {self.id} is the actor that 'actr {verb}' asks, and would take its place; "
                "leave --id out, for an id of its own, or give another"
            )
        if isinstance(whom, ActrId):
            realm = whom.realm
        realm = realm or own_id(settings.actor.id).realm
        return caller_config(settings, verb, realm=realm, named=self.given, takes_over=False)


def with_flags(verb: Callable[..., None]) -> Callable[..., None]:
    """Have typer offer the flags beside the options of ``verb``, which gets them as ``flags``."""

    @functools.wraps(verb)
    def with_them(**given: Any) -> None:
        flags = Flags(**{name: given.pop(name) for name in _TYPES})
        verb(**given, flags=flags)

    own = inspect.signature(verb, eval_str=True)
    kept = [each for each in own.parameters.values() if each.name != "flags"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _TYPES.items()
    ]
    named = own.replace(parameters=[*kept, *added])
    with_them.__signature__ = named  # type: ignore[attr-defined]
    with_them.__annotations__ = {each.name: each.annotation for each in named.parameters.values()}
    return with_them
