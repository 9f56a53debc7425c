from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from actr_signaling.trust.sources import SourceError, source


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"one")
    file = source(str(path), 100)
    assert file.read() == b"one"
    assert file.read() is None
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file.read() == b"two"
    other = tmp_path / "new"
    other.write_bytes(b"six")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    assert file.read() == b"six", "another file of the same time and length"


def test_what_could_not_be_used_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"one")
    file = source(str(path), 100)
    file.read()
    file.forget()
    assert file.read() == b"one"


def test_a_file_that_is_away_or_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file = source(str(path), 3)
    with pytest.raises(SourceError, match=r"keys.json: No such file"):
        file.read()
    path.write_bytes(b"four")
    with pytest.raises(SourceError, match=r"keys.json: over 3 bytes"):
        file.read()
    with pytest.raises(SourceError, match="null"):
        source("a\0b", 3).read()


class _Issuer(BaseHTTPRequestHandler):
    answers: dict[str, bytes]
    asked: list[str | None]

    def do_GET(self) -> None:
        self.asked.append(self.headers["If-None-Match"])
        data = self.answers.get(self.path)
        if data is None:
            self.send_error(404)
        elif data.startswith(b"http"):
            self.send_response(302)
            self.send_header("Location", data.decode())
            self.end_headers()
        elif self.headers["If-None-Match"] == f'"{data.decode()}"':
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("ETag", f'"{data.decode()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def issuer() -> Iterator[tuple[str, type[_Issuer]]]:
    handler = type("Handler", (_Issuer,), {"answers": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()
            thread.join()


def test_an_issuer_is_asked_with_the_tag_of_what_is_known(
    issuer: tuple[str, type[_Issuer]],
) -> None:
    url, handler = issuer
    handler.answers["/v1/revoked"] = b"one"
    page = source(f"{url}/v1/revoked", 100)
    assert page.read() == b"one"
    assert page.read() is None
    page.forget()
    assert page.read() == b"one"
    handler.answers["/v1/revoked"] = b"two"
    assert page.read() == b"two"
    assert handler.asked == [None, '"one"', None, '"one"']


def test_an_issuer_that_refuses_sends_elsewhere_or_says_too_much_is_not_believed(
    issuer: tuple[str, type[_Issuer]],
) -> None:
    url, handler = issuer
    handler.answers |= {"/long": b"long" * 3, "/moved": f"{url}/good".encode(), "/good": b"good"}
    for path, why in (("/none", "404"), ("/moved", "302"), ("/long", "over 10 bytes")):
        with pytest.raises(SourceError, match=f"{path}: {why}"):
            source(url + path, 10).read()


def test_an_issuer_that_is_away_is_named() -> None:
    with pytest.raises(SourceError, match=r"http://127.0.0.1:1/v1/keys: "):
        source("http://127.0.0.1:1/v1/keys", 10).read()
    with pytest.raises(SourceError):
        source("http://[", 10).read()
