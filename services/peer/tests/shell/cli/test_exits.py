"""Every error has its exit code, and a sentence that says what to do."""

from __future__ import annotations

import pytest

from actr_peer import errors
from actr_peer.cli.exits import Exit, explain, printable


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        (errors.ConfigError("listen = 'x'"), Exit.USAGE, ""),
        (errors.UnreachableError("acme:b@1:default", "offline"), Exit.UNREACHABLE, "it runs"),
        (errors.UnreachableError("signaling at ws://h", "no"), Exit.UNREACHABLE, "actr-signaling"),
        (errors.DeadlineError("no answer"), Exit.DEADLINE, "--timeout"),
        (errors.CallError(errors.Code.ABORTED, "no"), Exit.REFUSED, ""),
        (errors.BusyError("port 9100 is held"), Exit.BUSY, ""),
        (errors.LimitError("bytes", limit=1, asked=2), Exit.LIMIT, "as a stream"),
        (errors.BrokenError("gone"), Exit.BROKEN, "far side still runs"),
        (errors.MayHaveRunError("a.B.C", "acme:b@1:default", "gone"), Exit.BROKEN, ""),
        (errors.RemoteProtocolError("noise"), Exit.BROKEN, "same version"),
        (errors.ClosedError("closing"), Exit.FAILED, "start it again"),
        (errors.PeerError("something"), Exit.FAILED, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_ends_with_its_code_and_what_to_do(
    error: errors.PeerError, code: Exit, advice: str
) -> None:
    found, sentence = explain(error)
    assert found is code
    assert sentence.startswith(str(error))
    assert (sentence == str(error)) is (not advice)
    assert advice in sentence


def test_what_others_say_cannot_command_a_terminal() -> None:
    assert printable("a\x1b[2J\x07\u202e\udcff.txt") == "a\\x1b[2J\\x07\\u202e\\udcff.txt"
    assert printable("one, é 日本\ntwo") == "one, é 日本\ntwo"
