"""Another key for an entry: its contents, note and times stay."""

from torchstash.cache.disk.entry_check import entry_crc32, require_intact
from torchstash.cache.disk.transaction import Transaction
from torchstash.cache.errors import EntryExistsError

# An entry whose contents have no row is there all the same, damaged.
_ENTRIES = (
    "SELECT e.key, b.digest, e.note, e.crc32 FROM entries e LEFT JOIN blobs b ON b.id = e.blob_id "
    "WHERE e.key IN (?, ?)"
)


def rename_entry(transaction: Transaction, key: bytes, new_key: bytes, *, replace: bool) -> bool:
    """Let `new_key` name what `key` named. False: there is no entry of `key`.

    Contents that only an entry of `new_key` led to go with it.

    Raises:
        CorruptEntryError: The entry is damaged.
        EntryExistsError: There is an entry of `new_key`, and not `replace`.
    """
    execute = transaction.connection.execute
    found = {row[0]: row[1:] for row in execute(_ENTRIES, (key, new_key))}
    if key not in found:
        return False
    digest, note, crc32 = found[key]
    # With a new checksum nobody would know any more.
    require_intact(key.decode(), key, digest, note, crc32)
    if key == new_key:
        return True
    if new_key in found:
        if not replace:
            raise EntryExistsError(
                f"{key.decode()!r} was to be renamed to {new_key.decode()!r}, which there is "
                "already; choose another name, or say that it may be replaced"
            )
        transaction.remove_entry(new_key)
    renamed = (new_key, entry_crc32(new_key, digest, note), key)
    execute("UPDATE entries SET key = ?, crc32 = ? WHERE key = ?", renamed)
    return True
