"""``actr gen``: .proto files to typed Python or TypeScript, with no compiler to install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actr_peer.cli.codegen.compiler import generate_modules
from actr_peer.cli.codegen.names import Language
from actr_peer.cli.options import AsJson, Include
from actr_peer.errors import ConfigError


def gen(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".proto files.")],
    include: Include = None,
    out: Annotated[Path, typer.Option(help="Directory below which the modules go.")] = Path(),
    lang: Annotated[
        Language, typer.Option(help="What to write; ts wants protoc-gen-es in node_modules.")
    ] = Language.PYTHON,
    *,
    is_json: AsJson = False,
) -> None:
    """Write *_pb2.py, *_pb2.pyi and *_actr.py for each FILE; with --lang ts *_pb.ts and *_actr.ts.

    A FILE is known to others by its path below the first -I above it (without -I: below the
    current directory), and its modules go to the same path below --out. Nothing is written
    when one FILE is wrong. Exit status: 0 written, 2 refused.
    """
    modules = generate_modules(files, include or (), lang, out)
    written = []
    for path, text in sorted(modules.items()):
        target = out / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"cannot write {target}: {exc.strerror}; see --out") from exc
        written.append(str(target))
    print(json.dumps({"written": written}, indent=2) if is_json else "\n".join(written))
