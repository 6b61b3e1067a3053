"""Requests in RESP 2, the protocol of Redis (redis.io, "Redis serialization protocol")."""

import hiredis

# From this size a value is sent from where it lies: the copy would cost more than another send.
_SEPARATE_BYTES = 32 << 10

Argument = bytes | memoryview


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
