"""The fault suite: real processes over real wires that are cut. Run it with ``make fault-test``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pairs import MakePair, Pair, pair

from lab import netns
from lab.hosts import Network, network, router_signaling

SMALL = (
    "test_dropped_udp",
    "test_a_reset_websocket",
    "test_both_wires",
    "test_a_cut_among_fragments",
    "test_a_process_frozen",
    "test_a_deliberate_fault_is_found_and_only_it[NoResend]",
)
"""One scenario of each sort, in less than a minute."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--size", choices=("small", "normal", "full"), default="normal")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scenarios share one loop, and run only where the network may be cut."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if not (isinstance(item, pytest.Function) and iscoroutinefunction(item.function)):
            continue
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        item.add_marker(pytest.mark.service)
        if not netns.is_private():
            item.add_marker(pytest.mark.skip(reason="needs a private network: make fault-test"))
        size = config.getoption("--size")
        if item.get_closest_marker("slow") and size != "full":
            item.add_marker(pytest.mark.skip(reason="SIZE=full only"))
        elif size == "small" and not item.name.startswith(SMALL):
            item.add_marker(pytest.mark.skip(reason="not in SIZE=small"))


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often a scenario is repeated."""
    return 4 if request.config.getoption("--size") == "full" else 1


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_net() -> AsyncIterator[Network]:
    async with network() as net, router_signaling():
        yield net


@pytest_asyncio.fixture(loop_scope="session")
async def net(whole_net: Network) -> AsyncIterator[Network]:
    """The network between the hosts, whole at first and healed at last."""
    yield whole_net
    await whole_net.heal()


@pytest.fixture
def make_pair(
    net: Network, tmp_path: Path, record_property: Callable[[str, object], None]
) -> MakePair:
    """Starts two peers: ``async with make_pair(options={…}, fault="…") as pair``."""

    def make(fault: str = "", **arguments: Any) -> AbstractAsyncContextManager[Pair]:
        folder = tmp_path / (fault or "whole")
        folder.mkdir()
        return pair(net, folder, record_property, fault=fault, **arguments)

    return make
