"""Looks many values up in few statements."""

import sqlite3
from collections.abc import Iterator, Sequence

# Asked for in one statement.
_ASKED_AT_ONCE = 500


def select_many(
    connection: sqlite3.Connection, query: str, arguments: Sequence[bytes]
) -> Iterator[tuple[bytes, *tuple[object, ...]]]:
    """The rows of a query that ends before the list of what its column may be (`... WHERE key IN`).

    Of one instant only within a transaction of the caller's.
    """
    for start in range(0, len(arguments), _ASKED_AT_ONCE):
        some = arguments[start : start + _ASKED_AT_ONCE]
        yield from connection.execute(f"{query} ({', '.join('?' * len(some))})", some).fetchall()
