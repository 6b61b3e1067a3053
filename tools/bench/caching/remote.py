"""Gets from and puts into a Redis server on loopback, one value at a time or a hundred at once."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass

from torchstash.tools.bench.caching.redis_clients import CLIENTS, RAW, Client
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UnavailableError, WrongResultError

KEYS_AT_ONCE = 100
AT_ONCE = ", at once"
ONE_BY_ONE = ", one by one"

_KEYS = tuple(f"key-{i:04}" for i in range(KEYS_AT_ONCE))
_LARGE_KEYS = _KEYS[:4]
_LARGE_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteValues:
    """Values of one size, on a server."""

    size_bytes: int
    # Or why there is no server.
    port: int | UnavailableError


def gets() -> list[Contestant[RemoteValues]]:
    """A value of a hundred, in turn; of four, where they are large."""
    return [Contestant(name, "cpu", _getting(name), is_ceiling=name == RAW) for name in CLIENTS]


def puts() -> list[Contestant[RemoteValues]]:
    """A value in place of the one before."""
    return [Contestant(name, "cpu", _putting(name), is_ceiling=name == RAW) for name in CLIENTS]


def hundreds() -> list[Contestant[RemoteValues]]:
    """A hundred values, by one call and by a hundred."""
    names = [name for name in CLIENTS if name != RAW]
    return [
        Contestant(name + way, "cpu", _getting_hundred(name, way))
        for name in names
        for way in (AT_ONCE, ONE_BY_ONE)
    ]


def _client(name: str, values: RemoteValues) -> Client:
    if isinstance(values.port, UnavailableError):
        raise values.port
    return CLIENTS[name](values.port)


def _keys(values: RemoteValues) -> tuple[str, ...]:
    return _KEYS if values.size_bytes < _LARGE_BYTES else _LARGE_KEYS


def _filled(name: str, values: RemoteValues) -> tuple[Client, bytes]:
    client = _client(name, values)
    body = os.urandom(values.size_bytes)
    for key in _keys(values):
        client.put(key, body)
    return client, body


def _getting(name: str) -> Callable[[RemoteValues], Trial]:
    def prepare(values: RemoteValues) -> Trial:
        client, body = _filled(name, values)
        next_key = itertools.cycle(_keys(values)).__next__

        def check(found: object) -> None:
            # A raw socket reads large values without keeping them.
            if found != body and not (name == RAW and found is None):
                raise WrongResultError(f"gave {found!r:.60}")

        return Trial(lambda: client.get(next_key()), check, close=client.close)

    return prepare


def _putting(name: str) -> Callable[[RemoteValues], Trial]:
    def prepare(values: RemoteValues) -> Trial:
        client, body = _filled(name, values)
        next_key = itertools.cycle(_keys(values)).__next__
        return Trial(lambda: client.put(next_key(), body), close=client.close)

    return prepare


def _getting_hundred(name: str, way: str) -> Callable[[RemoteValues], Trial]:
    def prepare(values: RemoteValues) -> Trial:
        client, body = _filled(name, values)
        get_many = client.get_many
        if way == AT_ONCE and get_many is None:
            raise UnavailableError("it takes one value at a time")

        def call() -> object:
            if way == AT_ONCE and get_many is not None:
                return get_many(_KEYS)
            return [client.get(key) for key in _KEYS]

        def check(found: object) -> None:
            values_found = list(found.values()) if isinstance(found, dict) else found
            if values_found != [body] * KEYS_AT_ONCE:
                raise WrongResultError(f"gave {found!r:.60}")

        return Trial(call, check, close=client.close)

    return prepare
