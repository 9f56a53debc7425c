"""``actr new NAME``: a small project that runs at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actr_peer.cli.options import AsJson
from actr_peer.cli.verbs.new.project import Words, contents, generated
from actr_peer.errors import ConfigError

app = typer.Typer()


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the project and its folder, as my-room.")
    ],
    *,
    is_json: AsJson = False,
) -> None:
    """Write a small project into a folder NAME: contract, workload, caller, test."""
    words = Words.of(name)
    folder = Path(name)
    _check(folder)
    texts = contents(words) | generated(words)
    try:
        folder.mkdir(exist_ok=True)
        for path, text in texts.items():
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(
            f"{exc.filename or folder}: {exc.strerror}; go to a folder where you may write"
        ) from exc
    if is_json:
        written = [str(folder / path) for path in sorted(texts)]
        print(json.dumps({"folder": str(folder), "actor": words.actor, "written": written}))
    else:
        print(_next(words))


def _check(folder: Path) -> None:
    """Raises:
    ConfigError: If something is there.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"folder {folder} is there and not empty: choose another name")
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise ConfigError(f"{folder} is there and is no folder: choose another name")


def _next(words: Words) -> str:
    call = f'actr call {words.actor} Say \'{{"author": "ann", "text": "hello"}}\''
    made = f"{words.module}.proto, {words.module}.py, caller.py and a test"
    return f"""{words.name}/ has {made}. Next:

  cd {words.name}
  actr dev             # runs it, and starts it anew when a file changes
  python caller.py     # calls it, from another terminal
  {call}
  pytest && mypy ."""
