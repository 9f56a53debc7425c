"""The actor behind a verb: who it is, and what of its time is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.cli.callers import Visit, caller_config, durable_config
from actr_peer.errors import ConfigError
from actr_peer.node.process.settings import Settings


def test_each_start_is_an_actor_of_its_own_that_keeps_nothing() -> None:
    one, two = (caller_config(Settings(), "north", "call") for _ in range(2))
    assert one.id != two.id
    assert (one.id.actr_type, one.id.realm) == ("actr:call", "north")
    assert (one.listen, one.mailbox_path, one.reflection) == (None, None, False)


def test_a_key_has_one_identity_and_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = caller_config(Settings(), "north", "call")
    one, again = durable_config(config, "key"), durable_config(config, "key")
    other = durable_config(config, "another key")
    assert (one.id, one.mailbox_path) == (again.id, again.mailbox_path)
    assert one.id != other.id
    assert one.mailbox_path != other.mailbox_path
    assert Path(".actr", "calls").is_dir()


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".actr").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match="--durable keeps its call in"):
        durable_config(caller_config(Settings(), "north", "call"), "key")


def test_what_is_left_is_of_the_whole_time() -> None:
    assert Visit(None).left() is None
    assert Visit(None).left(30) == 30
    left = Visit(1000).left()
    assert left is not None
    assert 0 < left <= 1000
    assert Visit(1000).left(30) == 30
    assert Visit(0).left() == 0.001
