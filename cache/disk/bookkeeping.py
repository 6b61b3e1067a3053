"""Puts the books of a store right, from what its names and contents say."""

import sqlite3
from collections.abc import Collection

from torchstash.cache.disk.audit import DANGLING_LINKS, WRONG_USES
from torchstash.cache.disk.extents import extents_of, free_runs


def correct_books(connection: sqlite3.Connection, damaged: Collection[bytes]) -> list[bytes]:
    """Correct the counts of uses, the map of free bytes, and the totals.

    Names and links that lead nowhere go, because the number by which they lead there may be given
    to other contents; so do contents that nothing leads to.

    Args:
        connection: In a write transaction.
        damaged: Digests of contents that were found damaged. Those that share bytes of the packed
            file with others lose their place there, so that writing them again frees nothing that
            others use.

    Returns:
        Digests of contents that went and may have a file.
    """
    connection.execute("REINDEX")
    connection.execute("DELETE FROM entries WHERE blob_id NOT IN (SELECT id FROM blobs)")
    connection.executemany(
        "DELETE FROM links WHERE parent_id = ? AND child_id = ?",
        connection.execute(DANGLING_LINKS).fetchall(),
    )
    dropped = _correct_uses(connection)
    _correct_space(connection, damaged)
    connection.execute(
        "UPDATE totals SET stored_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM blobs)"
    )
    return dropped


def _correct_uses(connection: sqlite3.Connection) -> list[bytes]:
    dropped: list[bytes] = []
    while True:
        wrong = connection.execute(WRONG_USES).fetchall()
        unused = [(blob_id,) for blob_id, _, _, found in wrong if not found]
        connection.executemany(
            "UPDATE blobs SET uses = ? WHERE id = ?", ((found, i) for i, _, _, found in wrong)
        )
        if not unused:
            return dropped
        dropped += [digest for _, digest, _, found in wrong if not found]
        connection.executemany("DELETE FROM blobs WHERE id = ?", unused)
        # What only they led to is unused now: look again.
        connection.executemany("DELETE FROM links WHERE parent_id = ?", unused)


def _correct_space(connection: sqlite3.Connection, damaged: Collection[bytes]) -> None:
    _, overlapping = extents_of(connection)
    displaced = {digest for pair in overlapping for digest in pair if digest in damaged}
    connection.executemany(
        "UPDATE blobs SET packed_offset_bytes = NULL, is_damaged = 1 WHERE digest = ?",
        ((digest,) for digest in displaced),
    )
    extents, _ = extents_of(connection)
    gaps, end_bytes = free_runs(extents)
    noted = connection.execute(
        "SELECT offset_bytes, size_bytes FROM free_space ORDER BY offset_bytes"
    ).fetchall()
    if noted != gaps:
        connection.execute("DELETE FROM free_space")
        connection.executemany("INSERT INTO free_space VALUES (?, ?)", gaps)
    connection.execute(
        "UPDATE totals SET packed_end_bytes = ?, free_bytes = ?",
        (end_bytes, sum(size_bytes for _, size_bytes in gaps)),
    )
