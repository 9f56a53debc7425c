from __future__ import annotations

from pathlib import Path

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.settings import Settings
from actr_signaling.web.store import address_of


def test_a_short_password_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("short\n")
    url = "rediss://redis:6379/0"
    settings = Settings(
        redis_url=url, redis_user="signaling", redis_password_file=tmp_path / "password"
    )
    address = address_of(settings)
    assert (address.url, address.user, address.password) == (url, "signaling", "short")
    assert address_of(Settings(redis_url=url)).password == ""


def test_a_password_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        address_of(Settings(redis_url="redis://a", redis_password_file=tmp_path / "password"))
