"""Which bytes of the packed file are free: best fit, neighbours merged, the end drawn back.

All of it happens inside one write transaction. What is freed is taken note of and only given
back at its end: bytes of an entry that this transaction removes must not be written over before
it has committed, because it may still fail.
"""

import sqlite3

# Extents begin at multiples of this, so that they do not share cache lines.
ALIGNMENT_BYTES = 64


def rounded(size_bytes: int) -> int:
    """What contents of so many bytes take."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


class FreeSpace:
    """The allocator of one transaction.

    Attributes:
        end_bytes: No entry lies at or behind this offset.
        free_bytes: What is free before it.
    """

    def __init__(self, connection: sqlite3.Connection, end_bytes: int, free_bytes: int) -> None:
        self._execute = connection.execute
        self.end_bytes = end_bytes
        self.free_bytes = free_bytes
        self._freed: list[tuple[int, int]] = []

    def allocate(self, size_bytes: int) -> int:
        """The offset of `size_bytes` that nobody uses."""
        needed = rounded(size_bytes)
        if self.free_bytes >= needed:
            found = self._execute(
                "SELECT offset_bytes, size_bytes FROM free_space WHERE size_bytes >= ? "
                "ORDER BY size_bytes LIMIT 1",
                (needed,),
            ).fetchone()
            if found is not None:
                offset, available = found
                self._forget(offset, available)
                if available > needed:
                    self._note(offset + needed, available - needed)
                return int(offset)
        offset = self.end_bytes
        self.end_bytes += needed
        return offset

    def free(self, offset_bytes: int, size_bytes: int) -> None:
        """Give an extent back once the transaction ends."""
        self._freed.append((offset_bytes, rounded(size_bytes)))

    def settle(self) -> None:
        """Give back what was freed. The last step of a transaction."""
        for freed_offset, freed_size in self._freed:
            offset, size = freed_offset, freed_size
            before = self._execute(
                "SELECT offset_bytes, size_bytes FROM free_space WHERE offset_bytes < ? "
                "ORDER BY offset_bytes DESC LIMIT 1",
                (offset,),
            ).fetchone()
            if before is not None and sum(before) == offset:
                self._forget(*before)
                offset, size = before[0], before[1] + size
            after = self._execute(
                "SELECT offset_bytes, size_bytes FROM free_space WHERE offset_bytes = ?",
                (offset + size,),
            ).fetchone()
            if after is not None:
                self._forget(*after)
                size += after[1]
            if offset + size == self.end_bytes:
                self.end_bytes = offset
            else:
                self._note(offset, size)
        self._freed.clear()

    def _note(self, offset_bytes: int, size_bytes: int) -> None:
        self._execute("INSERT INTO free_space VALUES (?, ?)", (offset_bytes, size_bytes))
        self.free_bytes += size_bytes

    def _forget(self, offset_bytes: int, size_bytes: int) -> None:
        self._execute("DELETE FROM free_space WHERE offset_bytes = ?", (offset_bytes,))
        self.free_bytes -= size_bytes
