"""``actr config show``: each value and where it came from."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Column, Table

from actr_peer.cli.options import ConfigFile
from actr_peer.cli.tables import console, plain
from actr_peer.node.config.loading import load

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Configuration: defaults, then actr.toml, then the environment."""


@app.command()
def show(
    *,
    file: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Print every key, its value, and where the value came from."""
    loaded = load(file)
    if as_json:
        rows = [
            {"key": entry.key, "value": entry.value, "origin": entry.origin}
            for entry in loaded.entries
        ]
        print(json.dumps({"settings": rows}, indent=2))
        return
    table = Table(
        "key",
        Column("value", overflow="fold"),
        Column("origin", overflow="fold"),
        caption="section.key is also ACTR_SECTION__KEY",
    )
    for entry in loaded.entries:
        table.add_row(*map(plain, (entry.key, json.dumps(entry.value), entry.origin)))
    console().print(table)
