"""Which server of a cluster has which key ("Redis cluster specification", redis.io)."""

import binascii
from collections.abc import Sequence

from torchstash.cache.errors import BackendProtocolError

SLOT_COUNT = 16384

# Host and port.
Address = tuple[str, int]


def key_slot(key: bytes) -> int:
    """The slot of a key: CRC-16/XMODEM of it, or of the tag in its first pair of braces."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOT_COUNT


class SlotMap:
    """The master of each slot, as one server of the cluster tells it. Never changes.

    Args:
        reply: What CLUSTER SLOTS replied.
        asked: The server that replied: where it does not know its own name, this is it.

    Raises:
        BackendProtocolError: It is no such reply.
    """

    def __init__(self, reply: object, asked: Address) -> None:
        self._masters: list[Address | None] = [None] * SLOT_COUNT
        try:
            for first, last, master, *_ in _sequence(reply):
                host, port = master[0], master[1]
                address = (host.decode() if host else asked[0], int(port))
                self._masters[first : last + 1] = [address] * (last + 1 - first)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise BackendProtocolError(
                f"{asked[0]}:{asked[1]} replied no list of slots to CLUSTER SLOTS ({error}); "
                "is it a Redis or Valkey server?"
            ) from error
        if len(self._masters) != SLOT_COUNT:
            raise BackendProtocolError(f"{asked[0]}:{asked[1]} lists slots beyond {SLOT_COUNT}")

    def master_of(self, slot: int) -> Address | None:
        """Who has a slot. None: nobody does."""
        return self._masters[slot]

    def masters(self) -> list[Address]:
        """Every master, in order."""
        return sorted({address for address in self._masters if address is not None})


def redirection(text: str, asked: Address) -> Address:
    """Whom the error `MOVED <slot> <host>:<port>`, or ASK, names."""
    place = text.split(" ")[2]
    host, _, port = place.rpartition(":")
    return (host or asked[0], int(port))


def _sequence(reply: object) -> Sequence[tuple[int, int, list[bytes]]]:
    if not isinstance(reply, list):
        raise TypeError(f"not a list but {reply!r}")
    return reply
