"""A file under cuts and restarts: ``make bench-files [MB=1024] [JSON=1]``.

``actr send`` and ``actr receive`` as processes; a reset of the wire every five seconds, and each
side killed with SIGKILL and started again once (``lab/transfer.py``). ``resent_mb`` is what went
over the wire beyond the file. Without cuts and kills (``--cut-every 0 --no-kills``) it measures the
rate.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from bench.report import console, write_json
from lab.transfer import Plan, transfer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=int, default=1024)
    parser.add_argument("--cut-every", type=float, default=5.0, help="seconds; 0: never")
    parser.add_argument("--no-kills", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    plan = Plan(
        mb=given.mb,
        cut_every=given.cut_every,
        kills_receiver=not given.no_kills,
        kills_sender=not given.no_kills,
    )
    folder = Path(tempfile.mkdtemp(prefix="actr-files-"))
    try:
        row = asyncio.run(transfer(plan, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        write_json({"rows": [row]})
    else:
        console.print(row)
    return 0 if row["hash_equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
