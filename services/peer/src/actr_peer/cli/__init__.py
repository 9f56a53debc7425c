"""The ``actr`` command, one module per group of verbs.

A verb's module is imported when it is used: ``actr --help`` loads no WebRTC stack.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; it ends with a code of :mod:`actr_peer.cli.exits`."""
    from actr_peer.cli.main import run

    run()
