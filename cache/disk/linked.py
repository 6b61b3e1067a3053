"""An entry with all contents that its own lead to: what must be there for it to be readable."""

import sqlite3
from dataclasses import dataclass

from torchstash.cache.digest import Digest
from torchstash.cache.disk.entry_check import require_intact
from torchstash.cache.keys import encode_key

_ENTRY = (
    "SELECT e.note, e.crc32, EXISTS (SELECT 1 FROM links WHERE parent_id = b.id), "
    "b.id, b.digest, b.size_bytes "
    "FROM entries e JOIN blobs b ON b.id = e.blob_id WHERE e.key = ?"
)
_LINKS = (
    "SELECT b.id, b.digest, b.size_bytes FROM links l JOIN blobs b ON b.id = l.child_id "
    "WHERE l.parent_id = ? ORDER BY b.digest"
)


@dataclass(frozen=True, slots=True)
class LinkedContents:
    """Contents, and what they need: links to contents of the same entry, by digest."""

    digest: Digest
    size_bytes: int
    links: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class LinkedEntry:
    """What a key names.

    Attributes:
        note: What the entry says beside naming contents.
        contents: First those that the key names; each before all that it links.
    """

    note: bytes | None
    contents: tuple[LinkedContents, ...]


def read_linked(connection: sqlite3.Connection, key: str) -> LinkedEntry | None:
    """The entry of `key`. The caller has begun a transaction.

    Raises:
        CorruptEntryError: It is damaged.
    """
    raw_key = encode_key(key)
    row = connection.execute(_ENTRY, (raw_key,)).fetchone()
    if row is None:
        return None
    note, crc32, has_links, *root = row
    _, root_digest, root_size_bytes = root
    require_intact(key, raw_key, root_digest, note, crc32)
    if not has_links:  # As most are.
        contents = LinkedContents(Digest(root_digest), root_size_bytes, ())
        return LinkedEntry(note, (contents,))
    found: dict[int, LinkedContents] = {}
    # Depth first: contents are finished when all that they link are, so that the reverse of the
    # order in which they were finished has each before what it links.
    finished: list[int] = []
    waiting: list[tuple[int, bytes, int, bool]] = [(*root, False)]
    while waiting:
        blob_id, digest, size_bytes, is_expanded = waiting.pop()
        if is_expanded:
            finished.append(blob_id)
            continue
        if blob_id in found:
            continue
        children = connection.execute(_LINKS, (blob_id,)).fetchall()
        links = tuple(Digest(child) for _, child, _ in children)
        found[blob_id] = LinkedContents(Digest(digest), size_bytes, links)
        waiting.append((blob_id, digest, size_bytes, True))
        waiting.extend((*child, False) for child in children)
    return LinkedEntry(note, tuple(found[blob_id] for blob_id in reversed(finished)))
