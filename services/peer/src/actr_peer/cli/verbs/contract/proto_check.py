"""``actr proto check``: whether peers of an older contract understand a newer one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest

from actr_peer.cli.codegen.compatibility.changes import Change, Severity
from actr_peer.cli.codegen.compatibility.services import compare
from actr_peer.cli.codegen.compiler import compile_files, read_descriptor_set
from actr_peer.cli.exits import Exit
from actr_peer.cli.options import AsJson, Include
from actr_peer.errors import ConfigError

app = typer.Typer(help="Check a contract against an older one.")


@app.callback()
def proto() -> None:
    """Check a contract against an older one."""


@app.command()
def check(
    old: Annotated[Path, typer.Argument(help="The contract that is in use.")],
    new: Annotated[Path, typer.Argument(help="The contract that is to replace it.")],
    include: Include = None,
    *,
    is_json: AsJson = False,
) -> None:
    """Report wire changes and changed lanes between two contracts.

    OLD and NEW are each a .proto file, a directory of them, or a descriptor set (made with
    protoc --descriptor_set_out --include_imports, or buf build -o). Exit status: 0 compatible,
    there may be notes; 1 something breaks peers that still have OLD; 2 not a contract.
    """
    changes = compare(_contract(old, include or []), _contract(new, include or []))
    breaking = sum(change.severity is Severity.BREAKING for change in changes)
    if is_json:
        document = {"ok": not breaking, "changes": [_row(change) for change in changes]}
        typer.echo(json.dumps(document, indent=2))
    else:
        for change in changes:
            row = _row(change)
            typer.echo(f"{row['severity']:8}  {row['rule']}  {row['where']}: {row['text']}")
        typer.echo(f"{breaking} breaking, {len(changes) - breaking} to note")
    raise typer.Exit(Exit.FAILED if breaking else Exit.OK)


def _contract(path: Path, include: list[Path]) -> CodeGeneratorRequest:
    """Compile what ``path`` holds; a directory is the root of its own imports."""
    if path.is_dir():
        files = sorted(path.rglob("*.proto"))
        if not files:
            raise ConfigError(f"{path}: no .proto file below it")
        return compile_files(files, [path, *include])
    if path.suffix == ".proto":
        return compile_files([path], [*include, path.parent])
    return read_descriptor_set(path)


def _row(change: Change) -> dict[str, Any]:
    return {
        "severity": change.severity.value,
        "rule": change.rule.value,
        "where": change.where,
        "text": change.text,
    }
