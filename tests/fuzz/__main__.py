"""Fuzz the parsers that meet strangers' bytes: ``make fuzz [SECONDS=60] [TARGET=word] [JSON=1]``.

``SECONDS`` are for all targets together. What is found goes to a folder, each input a file, with
the command that repeats it. ``ARGS="--inputs N"`` gives each target so many inputs instead, and
``--window N`` looks at memory after so many; ``SEED=N`` makes other ones; ``ARGS=--keep`` writes
what reaches something new to the corpus; ``ARGS="--replay FILE"`` runs one input of ``TARGET`` and
shows how it ends.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import structlog
from rich.progress import Progress

from bench.report import console, write_json
from tests.fuzz import corpus
from tests.fuzz.coverage import lines
from tests.fuzz.engine import GROWTH_INPUTS, Fuzzer, Result, Target
from tests.fuzz.table import TARGETS

SECONDS = 60.0
FOLDER = Path("fuzz-finds")


def row(result: Result) -> dict[str, Any]:
    """A line of the table."""
    return {
        "target": result.target,
        "inputs": result.inputs,
        "inputs_per_s": round(result.inputs / max(result.seconds, 1e-9)),
        "lines": result.seed_lines,
        "new_lines": result.new_lines,
        "corpus": result.corpus,
        "most_steps": result.most_steps,
        "growth_blocks": result.growth,
        "rss_mib": round(psutil.Process().memory_info().rss / 2**20),
        "result": "ok" if result.is_good else f"{len(result.finds)} found",
    }


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as lines that a narrow terminal shows."""
    names = {
        "target": "target",
        "inputs": "inputs",
        "inputs_per_s": "a second",
        "lines": "lines",
        "new_lines": "new",
        "corpus": "corpus",
        "result": "result",
    }
    shown = [
        names,
        *(
            {name: f"{row[name]:,}" if isinstance(row[name], int) else row[name] for name in names}
            for row in rows
        ),
    ]
    return [
        f"{each['target']:<25}"
        + "".join(f"{each[name]:>10}" for name in list(names)[1:-1])
        + f"  {each['result']}"
        for each in shown
    ]


def write_finds(result: Result, folder: Path) -> list[str]:
    """Write each find to a file of its own; returns a line for each, with what repeats it."""
    told = []
    for find in result.finds:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{result.target}-{find.name}"
        path.write_bytes(find.data)
        again = f'make fuzz TARGET={result.target} ARGS="--replay {path}"'
        told.append(f"{result.target}: {find.what}\n  at {find.where}\n  {again}")
    return told


def keep(target: Target, reached: Sequence[bytes]) -> None:
    """Add to the corpus those inputs that still reach lines which nothing in it reaches."""
    known = [each for each in corpus.entries() if each.target == target.name]
    service = target.name.partition(".")[0]
    others = [
        each
        for each in corpus.entries()
        if each.target != target.name and each.target.startswith(f"{service}.") and not each.was
    ]
    found = [each for each in known if not each.was]
    seen = lines()
    try:
        for data in (*target.seeds(), *(each.data for each in known)):
            _reach(target, data, seen)
        for data in sorted(reached, key=len):
            before = seen.count
            _reach(target, data, seen)
            if seen.count > before:
                found.append(corpus.Entry(target.name, data))
    finally:
        seen.end()
    corpus.write(service, sorted([*others, *found], key=lambda each: (each.target, each.data)))


def _reach(target: Target, data: bytes, seen: Any) -> None:
    with seen.watching(), suppress(*target.allowed):
        target.run(data)


def replay(chosen: Sequence[Target], path: Path) -> None:
    """Run one input of one target, with no net under it."""
    if len(chosen) != 1:
        sys.exit(f"name one target: {', '.join(target.name for target in chosen)}")
    try:
        console.print(f"taken: {chosen[0].run(path.read_bytes())!r}", markup=False)
    except chosen[0].allowed as error:
        console.print(f"refused, as it may be: {error!r}", markup=False)


def main() -> None:
    """Run, report; the exit status is 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all targets together")
    parser.add_argument("--target", default="", help="targets with this in their name")
    parser.add_argument("--inputs", type=int, help="of each target, in place of seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--window", type=int, default=GROWTH_INPUTS, help="inputs between looks at memory"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where finds are written")
    parser.add_argument("--replay", type=Path, help="a file with one input")
    parser.add_argument("--keep", action="store_true", help="add to the corpus of the tree")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(processors=[_drop])
    logging.disable()  # what strangers send is logged where it is dropped
    named = [target for target in TARGETS if target.name == arguments.target]
    chosen = named or [target for target in TARGETS if arguments.target in target.name]
    if not chosen:
        parser.error("no target has this name")
    if arguments.replay is not None:
        replay(chosen, arguments.replay)
        return
    seconds = None if arguments.inputs else arguments.seconds / len(chosen)
    rows, told = [], []
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("targets", total=len(chosen))
        for target in chosen:
            progress.update(bar, description=target.name)
            fuzzer = Fuzzer(
                target, corpus.of(target.name), seed=arguments.seed, window=arguments.window
            )
            result = fuzzer.run(seconds=seconds, inputs=arguments.inputs)
            rows.append(row(result))
            told += write_finds(result, arguments.folder)
            if arguments.keep:
                keep(target, result.new)
            progress.advance(bar)
    for line in table(rows):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in told:
        console.print(line, style="red", markup=False, soft_wrap=True)
    inputs = sum(each["inputs"] for each in rows)
    console.print(f"{inputs} inputs to {len(rows)} targets, {len(told)} found", soft_wrap=True)
    if arguments.json:
        write_json({"rows": rows, "found": told})
    sys.exit(bool(told))


def _drop(logger: Any, name: str, event: Any) -> Any:
    del logger, name, event
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
