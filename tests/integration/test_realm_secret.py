"""Who has no certificate is not let in, and a mailbox has one owner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_kit.drivers import Composed
from integration_kit.engine import docker, eventually, logs

NAME = "actr-test-stranger"


@pytest.fixture
def stranger(system: Composed) -> Iterator[Composed]:
    yield system
    docker("rm", "--force", "--volumes", NAME)


def run(system: Composed, *options: str) -> None:
    """Start one more peer by hand."""
    system.compose("run", "--detach", "--no-deps", "--name", NAME, *options, "peer")


def end_of(container: str) -> str:
    """Its log and exit status, once it has ended."""
    form = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"

    def ended() -> str:
        status, code, restarts = docker("inspect", "--format", form, container).split()
        return code if status == "exited" or restarts != "0" else ""

    eventually(f"{container} ends by itself", ended, within=60)
    return logs(container)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"REALM__SECRET_FILE": ""}, "does not know the key of acme:room@stranger:default"),
        ({"REALM__SECRET_FILE": "/etc/os-release"}, "that is not the secret of realm default"),
        ({"IDENTITY__ISSUER_URL": "", "REALM__TRUST": "secret"}, "certificate"),
    ],
    ids=["without a secret", "with another secret", "with the secret and no certificate"],
)
def test_a_peer_that_cannot_prove_who_it_is_is_refused(
    stranger: Composed, environment: dict[str, str], reason: str
) -> None:
    named = {"ACTOR__ID": "acme:room@stranger:default", **environment}
    run(stranger, *(f"--env=ACTR_{name}={value}" for name, value in named.items()))
    log = end_of(NAME)
    assert reason in log, f"the refusal does not say so: {log}"
    for peer in stranger.peers():
        assert "acme:room@stranger:default" not in peer.actors(), f"{peer} sees the stranger"


def test_a_second_process_with_the_same_mailbox_is_refused(stranger: Composed) -> None:
    run(stranger, "--env", "ACTR_ACTOR__ID=acme:room@1:default")
    assert "/data/1.db" in end_of(NAME), "the refusal does not name the mailbox"
    (first, *_) = stranger.peers()
    assert first.is_registered_at(), f"{first} was disturbed by a second process with its id"
