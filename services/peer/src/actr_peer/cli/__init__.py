"""The ``actr`` command, one module per group of verbs.

A verb's module is imported when it is used: ``actr --help`` loads no WebRTC stack.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with one of the codes of :mod:`cli.exits`."""
    from actr_peer.cli.main import run

    run()
