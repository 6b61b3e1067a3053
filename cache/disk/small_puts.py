"""Places what most of many puts are: small contents that are new, under a name each.

A loop of its own over them takes a third of what the general one takes (docs/adr/0056).
"""

from collections.abc import Iterable

from torchstash.cache.disk.held_rows import BlobValues
from torchstash.cache.disk.staged_put import StagedPut
from torchstash.cache.disk.transaction import Transaction


def place_small(
    transaction: Transaction,
    puts: Iterable[tuple[int, StagedPut]],
    extents: list[tuple[int, bytes | memoryview]],
    *,
    catalogue_max_bytes: int,
    synced: bool,
    now_unix_ns: int,
    refresh: bool,
) -> list[tuple[int, StagedPut]]:
    """Hold the rows of those puts; the others, in their order, which are to be placed after them.

    Args:
        transaction: One that holds new rows back.
        puts: With the tick of each.
        extents: Gets what is to be written to the packed file, with its offsets.
        catalogue_max_bytes: Up to here contents lie in the catalogue.
        synced: They will be on the medium.
        now_unix_ns: When they are written.
        refresh: What `Transaction.set_entry` does with an entry that is as it was.
    """
    others: list[tuple[int, StagedPut]] = []
    others_keys: set[bytes] = set()
    new = transaction.new_contents()
    keys: set[bytes] = set()
    blobs: list[BlobValues] = []
    names: list[tuple[bytes, int, int, bytes | None, int | None]] = []
    allocate = transaction.free_space.allocate
    for put in puts:
        tick, item = put
        key, digest, contents = item.key, item.digest, item.small_data
        if (
            key is None
            or type(contents) is not memoryview
            or item.links
            or digest not in new
            or key in keys
            or key in others_keys
        ):
            others.append(put)
            if key is not None:
                # Of puts with one key the last one stays.
                others_keys.add(key)
            continue
        new.discard(digest)
        keys.add(key)
        offset_bytes, data = None, None
        size_bytes = len(contents)
        if size_bytes <= catalogue_max_bytes:
            data = bytes(contents)
        else:
            offset_bytes = allocate(size_bytes)
            extents.append((offset_bytes, contents))
        blobs.append((digest, size_bytes, 1, synced, offset_bytes, data))
        names.append((key, now_unix_ns, tick, *item.note))
    transaction.hold_named(blobs, names, refresh=refresh)
    return others
