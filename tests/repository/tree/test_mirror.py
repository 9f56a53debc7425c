"""Where a module's test is: under its name, in the folder that mirrors its own.

``tests/{protocol,shell,service}/<room>/test_<module>.py``; under ``tests/protocol`` the rooms of
``protocol/`` come first. A module without such a file stands below, with the test that holds it and
why it has none of its own. ``tests/protocol/vectors`` mirrors ``proto/vectors``.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("protocol", "shell", "service")
VECTORS = Path("protocol/vectors")

DECLARES = "it declares, or is a table: whoever uses it is tested with it"
PART = "it has one user, and what it does shows there"
REAL = "it is seen to work only on the real library, process, file or network"
SPOKEN = "it is one side of a conversation, and the test speaks the other"
ELSEWHERE = {
    "peer": {
        DECLARES: """
        errors.py                               protocol/rpc/test_call_errors.py
        cli/verbs/gateway/bounds.py             shell/cli/verbs/gateway/test_exchange.py
        actor/files/rules.py                    shell/actor/files/test_receiving.py
        actor/files/told.py                     shell/actor/files/test_receiving.py
        node/config/metrics.py                  shell/node/config/test_loading.py
        node/config/section.py                  shell/node/config/test_loading.py
        node/config/settings.py                 shell/node/config/test_loading.py
        node/process/metrics/actor.py           service/node/process/metrics/test_families.py
        node/process/metrics/links.py           service/node/process/metrics/test_families.py
        node/process/metrics/streams.py         service/node/process/metrics/test_families.py
        node/hooks.py                           service/node/test_end.py
        rpc/destinations/chosen/chooser.py      shell/rpc/destinations/chosen/test_attempts.py
        protocol/identity/ids.py                protocol/vectors/test_ids.py
        protocol/identity/keys.py               protocol/vectors/test_certificates.py
        protocol/identity/signatures.py         protocol/vectors/test_proofs.py
        protocol/wire/close_codes.py            protocol/vectors/test_close_codes.py
        protocol/payload.py                     protocol/session/wires/test_policy.py
        state/folder.py                         shell/state/test_file_lock.py
        state/mailbox/tables.py                 service/state/mailbox/test_mailbox.py
        state/outbox/call.py                    service/state/outbox/test_outbox.py
        transport/link_view.py                  shell/transport/test_link.py
        wire/base.py                            service/wire/test_conformance.py
        wire/webrtc/aiortc/bounds.py            service/wire/webrtc/aiortc/test_hostile_transport.py
        wire/webrtc/engine.py                   service/wire/webrtc/test_wire.py
        """,
        PART: """
        __main__.py                             shell/cli/test_main.py
        actor/files/service.py                  shell/actor/files/test_receiving.py
        actor/files/transfer.py                 shell/actor/files/test_receiving.py
        actor/bodies.py                         shell/actor/test_handlers.py
        actor/context.py                        shell/actor/test_handlers.py
        actor/inprocess/bodies.py               service/rpc/test_local.py
        actor/inprocess/serving.py              service/rpc/test_local.py
        actor/outcomes.py                       shell/actor/test_scheduler.py
        wire/signaling/pages.py                 service/wire/signaling/test_client.py
        rpc/destinations/ids.py                 shell/actor/test_reach.py
        actor/subscribers/callbacks.py          shell/actor/subscribers/test_media.py
        actor/subscribers/guarded.py            shell/actor/subscribers/test_media.py
        cli/verbs/running/doctor/case.py        service/cli/verbs/running/doctor/test_command.py
        cli/codegen/__main__.py                 service/cli/codegen/test_tools.py
        cli/codegen/compatibility/changes.py    shell/cli/codegen/test_compatibility.py
        cli/codegen/compatibility/services.py   shell/cli/codegen/test_compatibility.py
        cli/codegen/compatibility/shapes.py     shell/cli/codegen/test_compatibility.py
        cli/codegen/generate.py                 shell/cli/codegen/test_render.py
        cli/codegen/rules.py                    shell/cli/codegen/test_model.py
        cli/demo/file.py                        shell/cli/demo/test_report.py
        protocol/signaling/reading.py           protocol/signaling/test_messages.py
        node/observe/counts.py                  shell/node/observe/test_view.py
        node/observe/looking.py                 shell/node/observe/test_view.py
        node/process/metrics/family.py          service/node/process/metrics/test_families.py
        node/process/metrics/lanes.py           service/node/process/metrics/test_families.py
        node/process/status.py                  shell/node/observe/test_view.py
        rpc/remote.py                           service/node/test_boundaries.py
        rpc/opened.py                           service/node/test_streams.py
        rpc/destinations/outbound.py            service/node/test_boundaries.py
        rpc/stalled.py                          shell/rpc/test_dispatch.py
        testing/wires.py                        service/wire/test_conformance.py
        transport/bundle.py                     shell/transport/test_link.py
        transport/local/lanes.py                shell/transport/local/test_loop.py
        transport/pump.py                       shell/transport/test_link.py
        transport/stream_reader.py              shell/transport/test_streams.py
        wire/media/encoders.py                  shell/wire/media/test_pictures.py
        wire/media/file.py                      shell/wire/media/test_sources.py
        wire/media/raw.py                       shell/wire/media/test_pictures.py
        wire/parking.py                         shell/wire/websocket/test_wire.py
        wire/webrtc/aiortc/steps.py             service/wire/webrtc/aiortc/test_hostile_transport.py
        wire/webrtc/exchanges.py                shell/wire/webrtc/test_wires.py
        wire/websocket/dialling.py              service/wire/websocket/test_wires.py
        wire/websocket/long_frames.py           service/wire/websocket/test_arrivals.py
        """,
        REAL: """
        cli/demo/caller.py                      service/cli/demo/test_command.py
        cli/demo/media.py                       service/cli/demo/test_command.py
        cli/demo/process.py                     service/cli/demo/test_command.py
        cli/demo/room.py                        service/cli/demo/test_command.py
        cli/exchange/burst.py                   service/cli/exchange/test_command.py
        cli/exchange/room.py                    service/cli/exchange/test_command.py
        cli/exchange/rounds.py                  service/cli/exchange/test_command.py
        cli/exchange/steps.py                   service/cli/exchange/test_command.py
        cli/verbs/config.py                     shell/cli/test_main.py
        cli/verbs/dev/running/actor.py          service/cli/verbs/dev/test_command.py
        cli/verbs/dev/running/presence.py       service/cli/verbs/dev/test_command.py
        cli/verbs/dev/running/process.py        service/cli/verbs/dev/test_command.py
        cli/verbs/dev/running/runner.py         service/cli/verbs/dev/test_command.py
        cli/verbs/dev/stage.py                  service/cli/verbs/dev/test_command.py
        cli/verbs/gateway/connection.py         service/cli/verbs/gateway/test_server.py
        cli/verbs/gateway/http2.py              service/cli/verbs/gateway/test_command.py
        cli/verbs/gateway/entry.py              service/cli/verbs/gateway/test_command.py
        cli/verbs/contract/gen.py                service/test_readme.py
        cli/contracts/stored.py                 service/cli/verbs/test_mailbox.py
        cli/verbs/running/health.py                     service/cli/exchange/test_command.py
        cli/verbs/files/receive.py              service/cli/verbs/files/test_send.py
        cli/verbs/contract/proto_check.py        service/cli/codegen/test_tools.py
        node/assembly.py                        service/node/test_node.py
        node/process/probe.py                   shell/node/process/test_socket.py
        node/process/serving.py                 service/cli/verbs/test_run.py
        node/process/startup.py                 service/cli/verbs/test_run.py
        node/ref.py                             service/node/test_node.py
        state/mailbox/duplicates.py             service/state/mailbox/test_faults.py
        state/mailbox/inspection.py             service/cli/verbs/test_mailbox.py
        state/mailbox/intake.py                 service/state/mailbox/test_faults.py
        state/mailbox/letterbox.py              service/cli/verbs/test_mailbox.py
        state/mailbox/store.py                  service/state/mailbox/test_faults.py
        state/outbox/store.py                   service/state/outbox/test_outbox.py
        state/outbox/writes.py                  service/state/outbox/test_outbox.py
        state/storage/batches.py                service/state/storage/test_storage.py
        state/storage/database.py               service/state/storage/test_storage.py
        state/storage/journal.py                service/state/storage/test_storage.py
        state/storage/operations.py             service/state/storage/test_storage.py
        state/storage/pages.py                  service/state/storage/test_storage.py
        state/storage/late_writer.py            service/state/outbox/test_outbox.py
        state/storage/state_file.py             service/state/mailbox/test_faults.py
        state/storage/store.py                  service/state/mailbox/test_faults.py
        state/storage/watch.py                  service/state/storage/test_loss.py
        state/storage/witness.py                service/state/storage/test_loss.py
        state/storage/words.py                  service/state/storage/test_storage.py
        wire/relayed/wire.py                    service/wire/relayed/test_wires.py
        wire/tcp.py                             service/wire/websocket/test_wires.py
        wire/webrtc/aiortc/dtls.py              service/wire/webrtc/aiortc/test_hostile_transport.py
        wire/webrtc/aiortc/engine.py            service/wire/webrtc/test_wire.py
        wire/webrtc/aiortc/ice.py               service/wire/webrtc/test_turn.py
        wire/webrtc/aiortc/media/codecs.py      service/wire/webrtc/test_tracks.py
        wire/webrtc/aiortc/media/receivers.py   service/wire/webrtc/aiortc/test_media_garbage.py
        wire/webrtc/aiortc/media/sections.py    service/wire/webrtc/test_browser_sections.py
        wire/webrtc/aiortc/media/senders.py     service/wire/webrtc/aiortc/test_media_garbage.py
        wire/webrtc/aiortc/sctp/guarded.py      service/wire/webrtc/aiortc/test_hostile_transport.py
        wire/webrtc/aiortc/sctp/lane_queue.py   service/wire/webrtc/test_wire.py
        """,
        SPOKEN: """
        wire/signaling/connection.py            service/wire/signaling/test_client.py
        wire/signaling/upkeep.py                service/wire/signaling/test_client.py
        """,
    },
    "signaling": {
        DECLARES: """
        errors.py                               protocol/vectors/test_close_codes.py
        hub/peers.py                            shell/hub/test_hub.py
        issuer/cli/answers.py                   service/issuer/test_main.py
        issuer/register/access.py               service/issuer/test_office.py
        issuer/signing.py                       service/issuer/test_office.py
        issuer/protocol/causes.py               protocol/issuer/protocol/test_subjects.py
        issuer/register/rows.py                 service/issuer/register/test_administration.py
        ledger/base.py                          service/test_conformance.py
        web/metrics/families.py                 shell/web/metrics/test_page.py
        protocol/client/effects.py              protocol/client/test_session.py
        protocol/client/limits.py               protocol/client/test_session.py
        protocol/identity/ids.py                protocol/vectors/test_ids.py
        protocol/identity/keys.py               protocol/vectors/test_certificates.py
        protocol/identity/signatures.py         protocol/vectors/test_proofs.py
        protocol/presence/changes.py            protocol/presence/test_stored.py
        """,
        PART: """
        hub/courier.py                          shell/hub/test_hub.py
        hub/registrar.py                        shell/hub/test_hub.py
        issuer/cli/access.py                    service/issuer/test_main.py
        issuer/cli/actors.py                    service/issuer/test_main.py
        issuer/cli/keys.py                      service/issuer/test_main.py
        issuer/cli/looking.py                   service/issuer/test_main.py
        issuer/cli/parser.py                    service/issuer/test_main.py
        issuer/cli/rules.py                     service/issuer/test_main.py
        issuer/cli/tokens.py                    service/issuer/test_main.py
        issuer/metrics.py                       service/issuer/web/test_app.py
        ledger/memory.py                        shell/hub/test_hub.py
        program.py                              shell/test_main.py
        web/door/doors.py                       shell/web/door/test_guard.py
        web/door/page.py                        shell/web/door/test_guard.py
        web/health.py                           shell/test_main.py
        """,
        REAL: """
        issuer/register/enrolments.py           service/issuer/test_office.py
        issuer/web/server.py                    service/issuer/web/test_app.py
        ledger/redis/ledger.py                  service/ledger/redis/test_faults.py
        ledger/redis/line.py                    service/ledger/redis/test_faults.py
        ledger/redis/orders.py                  service/ledger/redis/test_chaos.py
        ledger/redis/outbox.py                  shell/ledger/redis/test_inbox.py
        """,
        SPOKEN: """
        web/connection.py                       shell/web/test_websocket.py
        web/listening.py                        shell/web/test_websocket.py
        web/server.py                           shell/web/test_websocket.py
        web/service.py                          shell/web/test_websocket.py
        """,
    },
}
"""Modules by why they have no test of their own, each with the file that would fail without it."""

PROCESSES = (
    "__main__",
    "cli/",
    "node/process/serving",
    "node/process/startup",
    "web/health",
    "issuer/web/server",
)
"""What tests start as a process, or ask by HTTP, and do not import."""


def rows(service: str) -> dict[str, str]:
    lines = "".join(ELSEWHERE[service].values()).strip().splitlines()
    return dict(line.split() for line in lines if line.strip())


def package(service: str) -> Path:
    return ROOT / f"services/{service}/src/actr_{service}"


def kept(service: str) -> Path:
    return ROOT / f"services/{service}/tests"


def modules(folder: Path) -> list[Path]:
    """Of one package, as paths from it; packages themselves are no modules."""
    return sorted(
        path.relative_to(folder) for path in folder.rglob("*.py") if path.name != "__init__.py"
    )


def mirrors(module: Path) -> list[Path]:
    """Where its test may be, as paths from the folder of tests."""
    name = f"test_{module.stem.strip('_')}.py"
    rooms = [Path(kind, module.parent) for kind in KINDS]
    if module.parts[0] == "protocol":
        rooms.append(module.parent)
    return [room / name for room in rooms]


def untested(sources: Path, checks: Path) -> set[str]:
    """Modules without a test file in the mirror."""
    return {
        str(module)
        for module in modules(sources)
        if not any((checks / place).is_file() for place in mirrors(module))
    }


def strays(sources: Path, checks: Path) -> set[str]:
    """Test files in a folder that mirrors no room."""
    found = set()
    for kind in KINDS:
        for path in (checks / kind).rglob("test_*.py"):
            room = path.parent.relative_to(checks / kind)
            rooms = [sources / room, *([sources / "protocol" / room] if kind == KINDS[0] else [])]
            if not any(each.is_dir() for each in rooms):
                found.add(str(path.parent.relative_to(checks)))
    return found


@pytest.mark.parametrize("service", ELSEWHERE)
def test_every_module_has_a_test_of_its_name_or_a_row_that_says_why_not(service: str) -> None:
    missing = untested(package(service), kept(service))
    assert missing - set(rows(service)) == set(), "give it its test file, or a row here"
    assert set(rows(service)) - missing == set(), (
        "it has its test now, or is gone: take the row away"
    )


@pytest.mark.parametrize("service", ELSEWHERE)
def test_every_row_names_a_test_that_is_there(service: str) -> None:
    assert [test for test in rows(service).values() if not (kept(service) / test).is_file()] == []


# Whether a test has to do with the module that it stands for.


def imports(path: Path) -> set[str]:
    """All that a file imports, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def edges(service: str) -> dict[str, set[str]]:
    """What each module of a package and of its tests imports."""
    roots = (package(service).parent, kept(service))
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): imports(
            path
        )
        for root in roots
        for path in root.rglob("*.py")
    }


def reaches(service: str, test: str, module: str) -> bool:
    """Whether a test imports a module, itself or by what it imports."""
    wanted = f"actr_{service}." + module.removesuffix(".py").replace("/", ".")
    seen = imports(kept(service) / test)
    waiting = list(seen)
    while waiting:
        new = edges(service).get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return wanted in seen


@pytest.mark.parametrize("service", ELSEWHERE)
def test_every_row_names_a_test_that_has_to_do_with_its_module(service: str) -> None:
    strangers = {
        module: test
        for module, test in rows(service).items()
        if not module.startswith(PROCESSES) and not reaches(service, test, module)
    }
    assert strangers == {}, "name a test that would fail without it"


@pytest.mark.parametrize("service", ELSEWHERE)
def test_every_test_of_a_module_imports_it_and_tests_something(service: str) -> None:
    idle = [
        str(place)
        for module in modules(package(service))
        for place in mirrors(module)
        if (kept(service) / place).is_file()
        and not str(module).startswith(PROCESSES)
        and not (has_tests(kept(service) / place) and reaches(service, str(place), str(module)))
    ]
    assert idle == []


def has_tests(path: Path) -> bool:
    return "\ndef test_" in (text := path.read_text("utf-8")) or "\nasync def test_" in text


@pytest.mark.parametrize("service", ELSEWHERE)
def test_every_test_file_is_in_a_room_of_the_sources(service: str) -> None:
    assert strays(package(service), kept(service)) - {str(VECTORS)} == set()


def test_vectors_mirror_the_files_of_the_contract() -> None:
    vectors = {path.stem for path in (ROOT / "proto/vectors").glob("*.json")}
    for service in ELSEWHERE:
        held = {path.stem.removeprefix("test_") for path in (kept(service) / VECTORS).glob("*.py")}
        assert held - vectors == set(), service


def test_a_module_without_a_test_and_a_test_without_a_room_are_found(tmp_path: Path) -> None:
    for name in ("src/protocol/room/rule.py", "src/shell/work.py", "src/lone.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("protocol/room/test_rule.py", "shell/nowhere/test_work.py"):
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).touch()
    assert untested(tmp_path / "src", tmp_path / "tests") == {"shell/work.py", "lone.py"}
    assert strays(tmp_path / "src", tmp_path / "tests") == {"shell/nowhere"}
