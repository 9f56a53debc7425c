from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.ledger.redis.address import MAX_NODES, Address, Form

SENTINELS = "rediss+sentinel://user:s3cret@s1:26380,[::1],s3/main/2"


def test_one_server_is_itself() -> None:
    address = Address("redis://redis:6379/0")
    address.check()
    assert address.form is Form.SINGLE
    assert address.tagged("actr") == "actr"


def test_sentinels_are_asked_without_the_password_of_redis(tmp_path: Path) -> None:
    address = Address(SENTINELS, ca_file=tmp_path, sentinel_user="w", sentinel_password="own")
    assert (address.form, address.name) == (Form.SENTINEL, "main")
    assert [one.server for one in address.asked] == [("s1", 26380), ("::1", 26379), ("s3", 26379)]
    for one in address.asked:
        assert one.is_sentinel
        assert one.ca_file == tmp_path
        assert (one.user, one.password) == ("w", "own")
        connection = one.connection()
        assert (connection.username, connection.password) == ("w", "own")
        assert connection.db == 0


def test_the_primary_that_is_named_has_user_database_and_authority_of_the_url() -> None:
    primary = Address(SENTINELS, ca_file=Path("ca.pem")).at("10.0.0.7", 6380)
    assert (primary.form, primary.ca_file) == (Form.SINGLE, Path("ca.pem"))
    connection = replace(primary, ca_file=None).connection()
    assert (connection.host, connection.port, connection.db) == ("10.0.0.7", 6380, 2)
    assert (connection.username, connection.password) == ("user", "s3cret")
    assert "s3cret" not in repr(primary)


def test_the_keys_of_a_cluster_are_in_one_slot() -> None:
    address = Address("redis+cluster://c1,c2:7000", user="u", password="p")
    address.check()
    assert address.tagged("actr") == "{actr}"
    assert [one.server for one in address.asked] == [("c1", 6379), ("c2", 7000)]
    assert [one.connection().username for one in address.asked] == ["u", "u"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://s1,s2", "the name that the Sentinels know the primary by"),
        ("redis+sentinel://s1,,s2/main", "redis.sentinel://"),
        ("redis+sentinel://s1:port/main", "redis.sentinel://"),
        ("redis+sentinel:///main", "redis.sentinel://"),
        ("redis+sentinel://s1/main/db", "redis.sentinel://"),
        ("redis+cluster://c1/1", "redis.cluster://"),
        ("redis+cluster://c1?x=1", "redis.cluster://"),
        ("redis+cluster://" + ",".join(["c"] * (MAX_NODES + 1)), "redis.cluster://"),
        ("redis://host:port", "redis://"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_with_the_form_that_can(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        Address(url, password="s3cret").check()
    assert "s3cret" not in str(refused.value)
