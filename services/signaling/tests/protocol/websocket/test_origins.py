from __future__ import annotations

import pytest

from actr_signaling.protocol.websocket.origins import check_origin


@pytest.mark.parametrize(
    "text",
    [
        "https://page.example",
        "http://localhost:3000",
        "https://xn--bcher-kva.example:8443",
        "http://[::1]:8000",
        "chrome-extension://abcdefgh",
        "https://page.example:80",
        "*",
    ],
)
def test_what_a_browser_sends_is_taken_as_it_is(text: str) -> None:
    assert check_origin(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "page.example",
        "https://page.example/",
        "https://page.example/path",
        "HTTPS://page.example",
        "https://Page.example",
        "https://page.example:443",
        "http://page.example:80",
        "https://page.example:0443",
        "https://page.example:65536",
        "https://ann@page.example",
        "https://*.example",
        "https://bücher.example",
        "https://page.example\n",
    ],
)
def test_another_spelling_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"lower case.*https://page\.example"):
        check_origin(text)
