"""Requests in RESP 2, the protocol of Redis (redis.io, "Redis serialization protocol")."""

from collections.abc import Sequence
from typing import NamedTuple

import hiredis

# From this size a value is sent from where it lies: the copy would cost more than another send.
_SEPARATE_BYTES = 32 << 10

Argument = bytes | memoryview


class Request(NamedTuple):
    """What is sent, and what is to come back.

    Attributes:
        parts: The runs of bytes to send one after the other.
        replies: How many there will be.
        head_bytes: Of a large value that comes alone, so many of its first bytes are received
            apart, and the reply is both. 0: it is received whole.
    """

    parts: Sequence[Argument]
    replies: int = 1
    head_bytes: int = 0


def pack(*arguments: Argument) -> list[Argument]:
    """One request of at least one argument, as the runs of bytes to send one after the other."""
    if max(map(len, arguments)) < _SEPARATE_BYTES:
        # The stub has a tuple of one.
        return [hiredis.pack_command(arguments)]  # type: ignore[arg-type]
    parts: list[Argument] = []
    small = bytearray(b"*%d\r\n" % len(arguments))
    for argument in arguments:
        small += b"$%d\r\n" % len(argument)
        if len(argument) < _SEPARATE_BYTES:
            small += argument
        else:
            parts += [bytes(small), argument]
            small.clear()
        small += b"\r\n"
    return [*parts, bytes(small)]


def pack_set(
    key: bytes, head: bytes, body: bytes | memoryview, options: Sequence[bytes]
) -> list[Argument]:
    """`SET` of a value that begins with `head`; `body` is sent from where it lies."""
    size_bytes = len(head) + len(body)
    before = b"*%d\r\n$3\r\nSET\r\n$%d\r\n%b\r\n" % (3 + len(options), len(key), key)
    after = b"".join(b"$%d\r\n%b\r\n" % (len(option), option) for option in options)
    return [before + b"$%d\r\n%b" % (size_bytes, head), body, b"\r\n" + after]
