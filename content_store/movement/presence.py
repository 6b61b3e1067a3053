"""Which values a remote has already, told by as few requests as its engine allows.

A value is asked for by `contains`, and believed where a put cannot leave a part of it (`MayTear`),
or a name with an equal record, which was put after it, leads there. Else it is read and compared.
Small ones are read in any case, where an engine gives many at once: that takes no more than to ask,
in one request for all of them. Where an engine cannot say what it has, only what such names lead to
is believed.
"""

from collections.abc import Callable, Sequence
from typing import Final

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.movement.layout import PART_BYTES, Part
from torchstash.content_store.movement.remote import Remote

Item = tuple[Part, LinkedContents, str]
"""A value that may be missing, the contents it is of, and a name that leads there."""

# The headers of a request and its answer are hardly fewer.
_READ_BYTES: Final = 4 << 10


class Presence:
    """What `remote` has. Thread-safe.

    Args:
        remote: Is asked.
        verify: Everything is read, and what is wrong counts as missing.
    """

    def __init__(self, remote: Remote, *, verify: bool) -> None:
        self._remote = remote
        self._verify = verify

    def there(
        self, load: Sequence[Item], trusted: set[Digest], ours: Callable[[Item], bytes]
    ) -> set[str]:
        """The keys of those values that are there as they should be.

        Args:
            load: Values of a few MiB together.
            trusted: Contents that a name with an equal record leads to.
            ours: Gives what a value should be.
        """
        if not self._verify and not self._remote.tells_presence:
            return {part.key for part, each, _ in load if each.digest in trusted}
        to_read: list[Item] = []
        to_ask: list[Item] = []
        for item in load:
            part, each, _ = item
            in_doubt = self._verify or (self._remote.may_tear and each.digest not in trusted)
            is_small = self._remote.takes_many and part.size_bytes <= _READ_BYTES
            (to_read if in_doubt or is_small else to_ask).append(item)
        found = self._remote.present([part.key for part, _, _ in to_ask], load[0][2])
        values = self._values(to_read)
        for item in to_read:
            value = values.get(item[0].key)
            if value is not None and _is_right(value, item, ours):
                found.add(item[0].key)
        return found

    def _values(self, items: Sequence[Item]) -> dict[str, bytes]:
        if not items:
            return {}
        try:
            return self._remote.get_many([part.key for part, _, _ in items], items[0][2])
        except CorruptStorageError:
            # An engine that checks what it gives found one of them damaged: it is to be put again.
            if len(items) == 1:
                return {}
        values: dict[str, bytes] = {}
        for item in items:
            values |= self._values([item])
        return values


def _is_right(value: bytes, item: Item, ours: Callable[[Item], bytes]) -> bool:
    part, each, _ = item
    if each.size_bytes <= PART_BYTES:
        return len(value) == part.size_bytes and hash_whole(value) == each.digest.raw
    return value == ours(item)
