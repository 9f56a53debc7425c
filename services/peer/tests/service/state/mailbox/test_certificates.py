"""What senders have shown of themselves outlives the process with their requests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actr_peer.state.mailbox import certificates
from actr_peer.state.mailbox.mailbox import Mailbox
from peer_kit.state.requests import Deliveries, put, request, settled

pytestmark = pytest.mark.service


async def test_a_certificate_is_on_the_disk_with_the_request_that_comes_after_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "box.db"
    async with Mailbox(path) as mailbox:
        assert mailbox.certificates.found == []
        mailbox.certificates.keep("acme:room@1:default", "older")
        mailbox.certificates.keep("acme:room@1:default", "newer")
        await put(mailbox, request("a"))  # stored: whoever dies now has both
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT sender, certificate FROM actr_certificate").fetchall()
    assert rows == [("acme:room@1:default", "newer")]
    async with Mailbox(path) as mailbox:
        assert mailbox.certificates.found == rows


async def test_of_very_many_senders_those_stay_of_whom_something_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "MAX_KEPT", 4)
    path = tmp_path / "box.db"
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        await put(mailbox, waiting := request("a"))
        await deliveries.wait_for(1)
        mailbox.certificates.keep(waiting.sender, "of one that waits")
        for number in range(3):
            mailbox.certificates.keep(f"acme:visitor@{number}:default", "of a passer-by")
        await settled(mailbox)
    async with Mailbox(path) as mailbox:
        assert sorted(mailbox.certificates.found) == sorted(
            [("acme:visitor@2:default", "of a passer-by"), (waiting.sender, "of one that waits")]
        )


async def test_a_file_from_before_certificates_were_kept_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "box.db"
    async with Mailbox(path) as mailbox:
        await put(mailbox, request("a"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE actr_certificate")
        connection.execute("PRAGMA user_version=2")
        connection.commit()
    async with Mailbox(path) as mailbox:
        assert mailbox.counts.recovered == 1
        mailbox.certificates.keep("acme:room@1:default", "new")
        await settled(mailbox)
    async with Mailbox(path) as mailbox:
        assert mailbox.certificates.found == [("acme:room@1:default", "new")]
