"""``actr gen``: .proto files to typed Python, with no compiler to install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actr_peer.cli.codegen.compiler import generate_modules
from actr_peer.cli.exits import Exit
from actr_peer.cli.options import AsJson
from actr_peer.errors import ConfigError


def gen(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".proto files.")],
    include: Annotated[
        list[Path] | None,
        typer.Option("-I", "--include", help="Directory in which imports are found; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory below which the modules go.")] = Path(),
    *,
    is_json: AsJson = False,
) -> None:
    """Write *_pb2.py, *_pb2.pyi and *_actr.py for each FILE.

    A FILE is known to others by its path below the first -I above it (without -I: below the
    current directory), and its modules go to the same path below --out. Nothing is written
    when one FILE is wrong. Exit status: 0 written, 2 refused.
    """
    try:
        modules = generate_modules(files, include or ())
    except ConfigError as error:
        typer.echo(f"actr: {error}", err=True)
        raise typer.Exit(Exit.USAGE) from error
    written = []
    for path, text in sorted(modules.items()):
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(str(target))
    print(json.dumps({"written": written}, indent=2) if is_json else "\n".join(written))
