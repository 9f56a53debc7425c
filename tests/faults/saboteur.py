"""``lab.traffic`` with one deliberate fault, named by ``FAULT``: what the suite must catch.

The faults are those of ``services/peer/tests/peer_kit/session/faults.py``: each a session that
leaves out one thing. The product knows nothing of them: the class is put in its place in this
process.
"""

from __future__ import annotations

import os
import sys

import uvloop

from actr_peer.transport import remote
from lab.traffic import main
from peer_kit.session import faults

vars(remote)["Session"] = getattr(faults, os.environ["FAULT"])

if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
