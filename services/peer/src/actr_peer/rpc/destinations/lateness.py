"""Why the time of a call was over: the last that is known of its destination is the error.

========================================  ====================================================
no wire to it ever came up                ``UnreachableError``, and the call has not run
its link worked, and is lost              ``BrokenError``, and the call may have run
a wire to it works                        ``DeadlineError``: the far side is slow, or stuck
========================================  ====================================================
"""

from __future__ import annotations

from typing import Final

from actr_peer.errors import BrokenError, DeadlineError, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.transport.link import Link

NO_WIRE: Final = "no wire to it came up in time"
"""Where nothing else is known yet."""


def late(remote: ActrId, link: Link | None, text: str, trouble: str) -> PeerError:
    """The error of what was asked of ``remote``, whose time is over.

    Args:
        link: To it, if there is one.
        text: What did not come about, and in which time.
        trouble: Why signaling is away; empty: it is there.
    """
    if link is None or link.is_ready:
        return DeadlineError(text)
    why = link.view().trouble
    if link.was_ready:
        return BrokenError(f"{text}: the link to it is lost" + (f" ({why})" if why else ""))
    return UnreachableError(str(remote), why or trouble or NO_WIRE)


def last_known(link: Link | None, trouble: str) -> str:
    """In brackets, why nothing reaches a remote at present; empty: something does."""
    if link is None or link.is_ready:
        return ""
    return f" ({link.view().trouble or trouble or NO_WIRE})"
