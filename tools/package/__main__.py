"""``make package``: wheels in dist/, then their trial; status 1 if they do not pass."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tools.package import trial, wheels

OUT = wheels.ROOT / "dist"


def main() -> int:
    """Build, look, install, use, remove; say what was done on the way."""
    options = _arguments()
    started = monotonic()
    version = wheels.project("services/peer")["version"]
    address = wheels.browsable(options.address) if options.address else wheels.origin()
    try:
        built = wheels.build(OUT, address)
        _say(f"{len(built)} wheels of {version} in {OUT.name}/, links: {address or 'none (URL=…)'}")
        trial.inspect(built, version)
        _say("inside: one name each, types, licence, README, pins to this version")
        with tempfile.TemporaryDirectory(prefix="actr-trial-") as scratch:
            place = trial.empty_place(Path(scratch))
            before = trial.install(place, OUT)
            _say("installed in an empty environment, from pins with hashes")
            trial.use(place, version)
            _say("actr gen, actr-signaling, actr run, actr call, a program, actr demo: ok")
            project = trial.start_project(place)
            _say("actr new, actr dev and its caller: ok")
            trial.check_types(place, "room.py", "ann.py")
            trial.check_types(project, "shop.py", "caller.py")
            _say("mypy --strict reads the installed types")
            trial.remove(place, before)
            _say("uninstalled: nothing is left")
    except (trial.TrialError, subprocess.CalledProcessError) as exc:
        print(f"package: {exc}", file=sys.stderr)
        return 1
    print(f"package: {len(built)} wheels ok in {monotonic() - started:.0f} s: {OUT}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument(
        "--address", default="", help="where the project can be found; without: that of origin"
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"package: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
