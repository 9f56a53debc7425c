"""The generator knows the names that the runtime calls on workloads."""

from __future__ import annotations

from actr_peer.cli.codegen.names import HOOKS
from actr_peer.node.hooks import Hooks


def test_every_hook_of_a_workload_is_refused_as_a_handler() -> None:
    assert {name for name in vars(Hooks) if not name.startswith("_")} == HOOKS
