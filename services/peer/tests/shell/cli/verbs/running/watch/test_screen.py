"""How ``actr top`` shows its rows."""

from __future__ import annotations

import json

from rich.console import Console

from actr_peer.cli.verbs.running.watch.rates import Rates, Row
from actr_peer.cli.verbs.running.watch.screen import document_of, table_of

RATES = Rates(calls_in=1234.4, calls_out=0.5, failed=0.0, p50_ms=0.8, p99_ms=None)


def row(rates: Rates | None = RATES, actor: str = "acme:room@1:default") -> Row:
    return Row(
        id=actor,
        pid=71,
        signaling="waiting",
        rates=rates,
        links=1,
        wires={"webrtc": 1},
        depth=0,
        dead=7,
        streams=0,
    )


def shown(*rows: Row) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table_of(rows, "calls"))
    return capture.get()


def test_the_table_shows_who_does_what() -> None:
    text = shown(row())
    for part in ("1 actor ", "1,234 calls/s", "by calls", "0.8 ms", "1 webrtc", "(waiting)", " 7 "):
        assert part in text


def test_without_rates_and_without_actors_it_says_so() -> None:
    assert "–" in shown(row(None))
    assert "nobody runs here now" in shown()


def test_what_an_actor_calls_itself_moves_no_cursor() -> None:
    assert "\\x1b" in shown(row(actor="\x1b[2J"))


def test_a_look_is_a_line_of_json() -> None:
    (line,) = document_of([row(), row(None)]).splitlines()
    first, second = json.loads(line)["actors"]
    assert first["rates"]["calls_in"] == 1234.4
    assert first["wires"] == {"webrtc": 1}
    assert second["rates"] is None
