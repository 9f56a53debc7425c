"""``actr identity``: a key is made, shown and replaced, and its private half is never printed."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actr_peer.cli.main import run
from actr_peer.cli.verbs.trust.identity import NEXT
from actr_peer.protocol.identity.keys import decode, key_id
from actr_peer.state.identity.keys import make_key, read_key
from peer_kit.signaling.issuer import FakeIssuer

FOLDER = Path(".actr/acme:room@1:default")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTR_ACTOR__ID", "acme:room@1:default")


def actr(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["actr", "identity", *words])
        with pytest.raises(SystemExit) as ended:
            run()
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, said = actr(capsys, *words, "--json")
    assert code == 0, said
    read: dict[str, Any] = json.loads(said)
    return read


def test_a_key_is_made_and_shown_without_its_private_half(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = told(capsys, "new")
    key = read_key(FOLDER / "identity.pem")
    assert key is not None
    public = key.public_key().public_bytes_raw()
    assert decode(made["public_key"]) == public
    assert (made["name"], made["certificate"]) == (key_id(public), None)
    assert told(capsys, "show") == made
    code, said = actr(capsys, "show")
    assert code == 0
    assert made["fingerprint"] in said
    secret = (FOLDER / "identity.pem").read_text().splitlines()[1]
    assert secret not in said
    assert secret not in json.dumps(made)


def test_what_is_not_there_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no key yet" in actr(capsys, "show")[1]
    assert "'actr identity new' makes one" in actr(capsys, "rotate")[1]


def test_a_key_that_is_there_is_replaced_only_by_force_and_its_certificate_is_gone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = told(capsys, "new")
    (FOLDER / "certificate.jwt").write_text("nonsense")
    code, said = actr(capsys, "new")
    assert code == 2
    assert "is there already" in said
    assert "a certificate that is none" in actr(capsys, "show")[1]
    assert told(capsys, "new", "--force")["name"] != first["name"]
    assert not (FOLDER / "certificate.jwt").exists()


def test_an_actor_that_keeps_no_key_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTR_IDENTITY__KEY_FILE", "")
    assert "keeps no key" in actr(capsys, "show")[1]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIssuer]:
    """One that serves in a thread: the command has a loop of its own."""
    made, ready, loop = FakeIssuer(), threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with made:
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    monkeypatch.setenv("ACTR_IDENTITY__ISSUER_URL", made.url)
    yield made
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def test_a_new_key_takes_the_place_of_the_old_one_which_signs_for_it(
    capsys: pytest.CaptureFixture[str], issuer: FakeIssuer
) -> None:
    first = told(capsys, "new")
    issuer.known.add(decode(first["public_key"]))
    after = told(capsys, "rotate")
    assert after["name"] != first["name"]
    assert issuer.known == {decode(after["public_key"])}
    assert after["certificate"]["is_of_this_key"]
    assert after["certificate"]["covers_this_actor"]
    assert told(capsys, "show")["name"] == after["name"]
    assert "acme:room@1" in actr(capsys, "show")[1]


def test_a_rotation_that_was_interrupted_goes_on(
    capsys: pytest.CaptureFixture[str], issuer: FakeIssuer
) -> None:
    told(capsys, "new")
    following = make_key(FOLDER / f"identity.pem{NEXT}").public_key().public_bytes_raw()
    issuer.known.add(following)  # the issuer has it, and its answer was lost
    assert told(capsys, "rotate")["name"] == key_id(following)
    assert "/v1/rotate" not in issuer.asked


def test_an_issuer_that_does_not_know_the_old_key_changes_nothing(
    capsys: pytest.CaptureFixture[str], issuer: FakeIssuer
) -> None:
    first = told(capsys, "new")
    code, said = actr(capsys, "rotate")
    assert code == 2
    assert "nobody has enrolled this key" in said
    assert told(capsys, "show")["name"] == first["name"]
