"""``actr config show``: each value and where it came from."""

from __future__ import annotations

import json

import typer

from actr_peer.cli.options import AsJson, ConfigFile
from actr_peer.cli.tables import console, table
from actr_peer.node.config.loading import load

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Configuration: defaults, then actr.toml, then the environment."""


@app.command()
def show(
    *,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Print every key, its value, and where the value came from."""
    loaded = load(config)
    if is_json:
        rows = [
            {"key": entry.key, "value": entry.value, "origin": entry.origin}
            for entry in loaded.entries
        ]
        print(json.dumps({"settings": rows}, indent=2))
        return
    cells = [(entry.key, json.dumps(entry.value), entry.origin) for entry in loaded.entries]
    title = "section.key is also ACTR_SECTION__KEY"
    console().print(table(title, ("key", "value", "origin"), cells))
