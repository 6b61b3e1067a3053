"""Which keys need given contents: those that name them, and those that name what links them."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection

_QUERY = """
    WITH RECURSIVE needing (root, id) AS (
        SELECT value, value FROM json_each(?)
        UNION
        SELECT needing.root, links.parent_id FROM links JOIN needing ON links.child_id = needing.id
    )
    SELECT needing.root, entries.key FROM needing JOIN entries ON entries.blob_id = needing.id
    ORDER BY needing.root, entries.key
"""


def affected_keys(
    connection: sqlite3.Connection, blob_ids: Collection[int]
) -> dict[int, tuple[str, ...]]:
    """The keys that need each of the contents, in order. Looks at every entry and link once."""
    found: dict[int, list[str]] = defaultdict(list)
    if blob_ids:
        ids = f"[{','.join(map(str, blob_ids))}]"
        for blob_id, key in connection.execute(_QUERY, (ids,)):
            found[blob_id].append(key_text(key))
    return {blob_id: tuple(keys) for blob_id, keys in found.items()}


def key_text(key: object) -> str:
    """A key of a catalogue that may be damaged."""
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else repr(key)
