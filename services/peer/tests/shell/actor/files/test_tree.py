from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.actor.files.tree import Tree
from actr_peer.protocol.files.manifest import Block

pytestmark = pytest.mark.service  # it reads files


@pytest.mark.parametrize("link", ["sub", "sub/deep", "sub/deep/key"])
def test_no_part_of_a_path_is_followed_where_it_has_become_a_link(
    tmp_path: Path, link: str
) -> None:
    for name in ("tree", "outside"):
        folder = tmp_path / name / "sub" / "deep"
        folder.mkdir(parents=True)
        (folder / "key").write_text(name)
    tree, block = Tree(tmp_path / "tree"), Block(0, 0, 7, is_last=True)
    assert tree.read("sub/deep/key", block)[0] == b"tree"
    tree.close()
    tree = Tree(tmp_path / "tree")
    (tmp_path / "tree" / link).rename(tmp_path / "was")
    (tmp_path / "tree" / link).symlink_to(tmp_path / "outside" / link)
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        tree.read("sub/deep/key", block)
    if link != "sub/deep/key":
        with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
            list(tree.items("sub/deep"))
    tree.close()
