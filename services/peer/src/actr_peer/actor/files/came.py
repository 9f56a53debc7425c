"""What came whole once, and is there now: it counts when it is as it was."""

from __future__ import annotations

from pathlib import Path

from actr_peer.actor.files.tree import Tree
from actr_peer.protocol.files.manifest import Digests, Manifest, digest_of

READ_EACH = 64
"""Blocks that are read over in one go."""


class Came:
    """What came whole once and is there: read over, for nobody knows what became of it since.

    Every method works on the disk and may take long.
    """

    def __init__(self, path: Path, root: bytes, manifest: Manifest) -> None:
        self.name = path.name
        self.root = root
        """The digest over all blocks, as it came."""
        self.digests = Digests()
        self._path = path
        self._tree: Tree | None = None
        self._manifest = manifest

    def read(self) -> int:
        """Read some blocks over; return how many have been read.

        Raises:
            OSError: If it is not there as it was.
        """
        if self._tree is None:
            self._tree = Tree(self._path)
        first = len(self.digests)
        for number in range(first, min(first + READ_EACH, self._manifest.blocks)):
            block = self._manifest.block(number)
            data, _ = self._tree.read(self._manifest.entries[block.entry].path, block)
            self.digests.add(digest_of(data))
        return len(self.digests)

    @property
    def is_as_it_was(self) -> bool:
        return self.digests.root(self._manifest.blocks) == self.root

    def close(self) -> None:
        if self._tree is not None:
            self._tree.close()
