"""Another key for an entry: its contents, note and times stay."""

from torchstash.cache.disk.transaction import Transaction
from torchstash.cache.errors import EntryExistsError


def rename_entry(transaction: Transaction, key: bytes, new_key: bytes, *, replace: bool) -> bool:
    """Let `new_key` name what `key` named. False: there is no entry of `key`.

    Contents that only an entry of `new_key` led to go with it.

    Raises:
        EntryExistsError: There is an entry of `new_key`, and not `replace`.
    """
    execute = transaction.connection.execute
    present = {
        found for (found,) in execute("SELECT key FROM entries WHERE key IN (?, ?)", (key, new_key))
    }
    if key not in present:
        return False
    if key == new_key:
        return True
    if new_key in present:
        if not replace:
            raise EntryExistsError(
                f"{key.decode()!r} was to be renamed to {new_key.decode()!r}, which there is "
                "already; choose another name, or say that it may be replaced"
            )
        transaction.remove_entry(new_key)
    execute("UPDATE entries SET key = ? WHERE key = ?", (new_key, key))
    return True
