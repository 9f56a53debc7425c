"""``lab.traffic`` with one deliberate fault, named by ``FAULT``: what the suite must catch.

Most are those of ``services/peer/tests/peer_kit/session/faults.py``: each a session that leaves
out one thing. The product knows nothing of them: the class is put in its place in this process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvloop

from actr_peer.protocol.session.session import Session
from actr_peer.transport import remote
from lab.traffic import main
from peer_kit.session import faults

POLL_EVERY = 0.05


class Polling(Session):
    """Looks again and again whether there is something to do."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while True:  # noqa: ASYNC110  which is the fault
            await asyncio.sleep(POLL_EVERY)


FAULTS = {**vars(faults), "Polling": Polling}

vars(remote)["Session"] = FAULTS[os.environ["FAULT"]]

if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
