"""What ``actr gateway`` says before it starts."""

from __future__ import annotations

import pytest

from actr_peer.cli.options import Flags
from actr_peer.cli.verbs.gateway import command
from actr_peer.errors import ConfigError


def test_who_lacks_the_extra_is_told_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EXTRA", ("json", "no_such_library"))
    with pytest.raises(ConfigError) as caught:
        command._check_extra()
    assert "needs no_such_library" in str(caught.value)
    assert "pip install 'actr-peer[gateway]'" in str(caught.value)


def test_an_origin_is_taken_as_browsers_send_it() -> None:
    assert command._origin("HTTPS://App.Example:443/") == "https://app.example"
    assert command._origin("*") == "*"
    with pytest.raises(ConfigError, match=r"--allowed-origin 'app\.example'"):
        command._origin("app.example")


def test_it_is_an_actor_of_its_own_that_answers_actr_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTR_CONTROL__SOCKET", raising=False)
    config = command._config(Flags())
    assert config.id.actr_type == "actr:gateway"
    assert config.control_socket is not None
    assert config.mailbox_path is None
    assert config.listen is None
    named = command._config(Flags(id="acme:front@1:default"))
    assert str(named.id) == "acme:front@1:default"
    assert named.control_socket != config.control_socket
