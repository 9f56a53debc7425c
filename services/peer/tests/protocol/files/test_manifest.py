from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import CallError, Code
from actr_peer.protocol.files import manifest as manifests
from actr_peer.protocol.files.manifest import (
    BLOCK_BYTES,
    MAX_ENTRIES,
    MAX_TIME,
    Digests,
    Entry,
    FileOffer,
    Listing,
    Manifest,
    digest_of,
)
from actr_peer.protocol.files.names import MAX_DEPTH
from actr_peer.protocol.identity import ActrId

SENDER = ActrId.parse("acme:room@1:default")


def offer(entries: int = 1, size: int = 0, *, is_directory: bool = True) -> FileOffer:
    return FileOffer(name="x", is_directory=is_directory, entries=entries, size_bytes=size)


def entry(path: str = "", size: int = 0, *, is_directory: bool = False, time: int = 1) -> Entry:
    return Entry(path=path, size_bytes=size, mtime_ns=time, is_directory=is_directory)


def manifest(*sizes: int) -> Manifest:
    entries = [entry(f"f{number}", size) for number, size in enumerate(sizes)]
    return Manifest(offer(len(sizes), sum(sizes)), entries)


@given(st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=6))
def test_blocks_cover_every_byte_once_and_in_order(sizes: list[int]) -> None:
    made = manifest(*sizes)
    at = [0] * len(sizes)
    for number in range(made.blocks):
        assert made.bytes_of(number) == sum(at)
        block = made.block(number)
        assert block.offset == at[block.entry]
        assert 0 < block.size_bytes <= BLOCK_BYTES
        at[block.entry] += block.size_bytes
        assert block.is_last == (at[block.entry] == sizes[block.entry])
    assert at == sizes
    assert made.bytes_of(made.blocks) == sum(sizes)


def test_a_key_is_the_same_for_another_instance_of_the_sender_only() -> None:
    one = manifest(5)
    assert one.key(SENDER) == one.key(ActrId.parse("acme:room@2:default"))
    assert one.key(SENDER) != one.key(ActrId.parse("acme:hall@1:default"))
    assert one.key(SENDER) != manifest(6).key(SENDER)
    assert one.key(SENDER) != Manifest(offer(1, 5), [entry("f0", 5, time=2)]).key(SENDER)


def test_a_listing_that_keeps_the_rules_becomes_a_manifest() -> None:
    listing = Listing(offer(3, 5), hidden=False)
    listing.add([entry("a", is_directory=True)])
    assert not listing.is_whole
    listing.add([entry("a/b", 5), entry("c")])
    assert listing.is_whole
    made = listing.manifest()
    assert (made.files, made.blocks) == (2, 1)


def test_a_file_by_itself_has_no_path() -> None:
    listing = Listing(offer(1, 5, is_directory=False), hidden=False)
    listing.add([entry("", 5)])
    assert listing.manifest().blocks == 1


@pytest.mark.parametrize(
    ("told", "entries"),
    [
        pytest.param(offer(2), [entry("../a"), entry("b")], id="traversal"),
        pytest.param(offer(1), [entry("/etc/passwd")], id="absolute"),
        pytest.param(offer(1), [entry("/a")], id="absolute, one part"),
        pytest.param(
            offer(2), [entry("a", is_directory=True), entry("a//b")], id="a part of nothing"
        ),
        pytest.param(offer(1), [entry("a/b")], id="no directory above"),
        pytest.param(offer(2), [entry("a"), entry("a/b")], id="a file above"),
        pytest.param(offer(2), [entry("a"), entry("A")], id="case collision"),
        pytest.param(
            offer(2), [entry("A", is_directory=True), entry("a/b")], id="directory of another case"
        ),
        pytest.param(offer(1), [entry("a"), entry("b")], id="more than offered"),
        pytest.param(offer(1, 4), [entry("a", 5)], id="more bytes than offered"),
        pytest.param(offer(1, 6), [entry("a", 5)], id="fewer bytes than offered"),
        pytest.param(offer(1, 5), [entry("a", 5, is_directory=True)], id="a directory with bytes"),
        pytest.param(offer(1), [entry("a", time=MAX_TIME + 1)], id="no time"),
        pytest.param(offer(1, is_directory=False), [entry("a")], id="a path for a file"),
        pytest.param(
            offer(1, is_directory=False), [entry("", is_directory=True)], id="a directory as a file"
        ),
        pytest.param(offer(1), [entry("")], id="no path in a directory"),
    ],
)
def test_a_hostile_manifest_is_refused(told: FileOffer, entries: list[Entry]) -> None:
    listing = Listing(told, hidden=False)
    with pytest.raises(CallError) as caught:
        listing.add(entries)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_the_paths_of_a_transfer_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_PATHS_BYTES", 3)
    listing = Listing(offer(2), hidden=False)
    listing.add([entry("ab")])
    with pytest.raises(CallError, match="over 3 bytes"):
        listing.add([entry("cd")])


def test_a_path_of_too_many_parts_is_refused() -> None:
    paths = ["/".join("a" * depth) for depth in range(1, MAX_DEPTH + 2)]
    listing = Listing(offer(len(paths)), hidden=False)
    with pytest.raises(CallError, match=f"over {MAX_DEPTH} parts"):
        listing.add([entry(path, is_directory=True) for path in paths])


@pytest.mark.parametrize(
    "told", [offer(0, is_directory=False), offer(2, is_directory=False), offer(MAX_ENTRIES + 1)]
)
def test_an_offer_has_bounds(told: FileOffer) -> None:
    with pytest.raises(CallError, match="entries"):
        Listing(told, hidden=False)


PATHS = st.lists(st.sampled_from(["a", "B", "b", "..", ".", "", "é", "c d"]), max_size=3)


@given(st.lists(st.tuples(PATHS, st.integers(0, 9), st.booleans()), max_size=6))
def test_no_listing_reaches_out_of_its_directory(
    rows: list[tuple[list[str], int, bool]],
) -> None:
    entries = [entry("/".join(path), size, is_directory=kind) for path, size, kind in rows]
    listing = Listing(offer(len(rows), sum(row[1] for row in rows)), hidden=True)
    try:
        listing.add(entries)
    except CallError:
        return
    seen = {""}
    for each in listing.manifest().entries:
        parts = each.path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "/".join(parts[:-1]) in seen
        if each.is_directory:
            seen.add(each.path)


def test_digests_keep_those_that_are_whole() -> None:
    one, two = digest_of(b"1"), digest_of(b"2")
    digests = Digests(one + two + b"torn")
    assert (len(digests), digests[1]) == (2, two)
    assert digests.root(1) == hashlib.sha256(one).digest()
    digests.cut(1)
    digests.add(two)
    assert digests.root(2) == hashlib.sha256(one + two).digest()


def test_bytes_before_a_block_count_whole_files_and_a_part() -> None:
    made = manifest(3, BLOCK_BYTES + 7)
    assert [made.bytes_of(number) for number in range(4)] == [
        0,
        3,
        3 + BLOCK_BYTES,
        10 + BLOCK_BYTES,
    ]
    assert not made.block(1).is_last
    assert made.block(2).is_last
