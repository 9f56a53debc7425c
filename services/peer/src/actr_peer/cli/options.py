"""Arguments and options that several verbs have, said the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ActorArgument: TypeAlias = Annotated[str, typer.Argument(help="Whom, as acme:room@2:default.")]
Timeout: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Seconds for all of it, start and connecting too.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON document.")]
ConfigFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="Read this file, not ./actr.toml or what ACTR_CONFIG names.")
]
