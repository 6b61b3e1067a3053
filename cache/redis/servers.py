"""The servers that keep the values: which of them is asked, over which connection.

Nothing is connected until the first operation. Without a cluster there is one server at a time: the
first of those that were named which answers. The first MOVED tells that there is a cluster; from
then on each request goes to the master of its key's slot. A server that closed an idle connection
(it was restarted, say) costs one more attempt over a new one, and a fault none.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from torchstash.cache.errors import (
    BackendError,
    BackendProtocolError,
    BackendTimeoutError,
    BackendUnreachableError,
)
from torchstash.cache.network import ConnectionPool
from torchstash.cache.redis.connection import ReplyError, RespConnection
from torchstash.cache.redis.reply_errors import reply_error
from torchstash.cache.redis.request import Argument, Request, pack, pack_set
from torchstash.cache.redis.slots import Address, SlotMap, key_slot, redirection

_MAX_REDIRECTIONS = 5
# Smaller runs of bytes are copied together.
_JOINED_BYTES = 16 << 10
_Pool = ConnectionPool[RespConnection]


class Servers:
    """Runs requests. Thread-safe, and usable in a child made by fork.

    Args:
        named: Where to begin; of a cluster, any of its servers.
        connect: Opens a connection to one, ready for requests.
    """

    def __init__(
        self, named: Sequence[Address], connect: Callable[[Address], RespConnection]
    ) -> None:
        self._named = list(named)
        self._connect = connect
        self._pools: dict[Address, _Pool] = {}
        self._current = self._named[0]
        # Replaced as a whole, never changed. None: no cluster, as far as is known.
        self._slots: SlotMap | None = None
        self._asked_for_slots = False
        # Those that did not answer in time: the next operation looks for others first.
        self._suspects: set[Address] = set()

    def run(self, *command: Argument) -> object:
        """The reply to one request, whose key is its second part: `GET key`.

        Raises:
            BackendError: No server answered, or one replied an error; the subclass tells which.
        """
        return self._run(bytes(command[1]), Request(pack(*command)))

    def get(self, key: bytes, head_bytes: int) -> object:
        """The reply to `GET`; of a large value both parts, the first `head_bytes` of it apart.

        Raises:
            BackendError: As `run`.
        """
        return self._run(key, Request(pack(b"GET", key), head_bytes=head_bytes))

    def set(
        self, key: bytes, head: bytes, body: bytes | memoryview, options: Sequence[bytes]
    ) -> None:
        """`SET` of a value that begins with `head`, and goes on with `body`, which is not copied.

        Raises:
            BackendError: As `run`.
        """
        self._run(key, Request(pack_set(key, head, body, options)))

    def _run(self, key: bytes, request: Request) -> object:
        address, reply = self._ask(key, request)
        if isinstance(reply, ReplyError):
            return self._follow(key, request, address, reply)
        return reply

    def run_many(self, commands: Sequence[tuple[Argument, ...]]) -> list[object]:
        """The replies to requests like those of `run`, sent together to each server.

        Raises:
            BackendError: As `run`. Any of the requests may have been carried out.
        """
        replies: list[object] = [None] * len(commands)
        keys = [bytes(command[1]) for command in commands]
        for address, indices in self._by_server(keys).items():
            packed = [pack(*commands[i]) for i in indices]
            try:
                found = self._exchange(address, Request(_joined(packed), len(indices)))
            except BackendUnreachableError:
                # One by one: that finds another server, where there is one.
                found = [self.run(*commands[i]) for i in indices]
            for i, parts, reply in zip(indices, packed, found, strict=True):
                if isinstance(reply, ReplyError):
                    replies[i] = self._follow(keys[i], Request(parts), address, reply)
                else:
                    replies[i] = reply
        return replies

    def is_cluster(self) -> bool:
        """Whether the servers are a cluster. Asks once, if none has told yet."""
        if not self._asked_for_slots:
            self._learn_slots(self._current)
        return self._slots is not None

    def masters(self) -> list[Address]:
        """Every server that has values of its own. Asks, for a cluster may have grown."""
        self._learn_slots(self._current)
        return [self._current] if self._slots is None else self._slots.masters()

    def run_at(self, address: Address, *command: Argument) -> object:
        """The reply of one server to a request that concerns no single key."""
        reply = self._exchange(address, Request(pack(*command)))[0]
        if isinstance(reply, ReplyError):
            raise reply_error(_text(address), reply)
        return reply

    def close(self) -> None:
        """Close every idle connection."""
        for pool in list(self._pools.values()):
            pool.close_idle()

    def _ask(self, key: bytes, request: Request) -> tuple[Address, object]:
        address = self._server_of(key)
        if self._suspects and address in self._suspects:
            self._suspects.discard(address)
            address = self._another_server(key, address) or address
        try:
            return address, self._exchange(address, request)[0]
        except BackendUnreachableError:
            other = self._another_server(key, address)
            if other is None:
                raise
        return other, self._exchange(other, request)[0]

    def _server_of(self, key: bytes) -> Address:
        if self._slots is None:
            return self._current
        return self._slots.master_of(key_slot(key)) or self._current

    def _by_server(self, keys: Sequence[bytes]) -> dict[Address, list[int]]:
        groups: dict[Address, list[int]] = {}
        for i, key in enumerate(keys):
            groups.setdefault(self._server_of(key), []).append(i)
        return groups

    def _another_server(self, key: bytes, failed: Address) -> Address | None:
        """Who has the key now that a server has gone: None where nobody else is known to."""
        known = self._named if self._slots is None else [*self._slots.masters(), *self._named]
        for address in dict.fromkeys(known):
            if address == failed:
                continue
            try:
                self._learn_slots(address)
            except BackendTimeoutError:
                return None
            except BackendError:
                continue
            self._current = address
            found = self._server_of(key)
            return found if found != failed else None
        return None

    def _learn_slots(self, address: Address) -> None:
        """Ask a server for the slots of its cluster; that it is in none is an answer too."""
        reply = self._exchange(address, Request(pack(b"CLUSTER", b"SLOTS")))[0]
        if not isinstance(reply, ReplyError):
            self._slots = SlotMap(reply, address)
        elif not _is_no_cluster(str(reply)):
            raise reply_error(_text(address), reply)
        self._asked_for_slots = True

    def _follow(self, key: bytes, request: Request, asked: Address, reply: ReplyError) -> object:
        """The reply of the server that has the key, where another one says which that is."""
        for _ in range(_MAX_REDIRECTIONS):
            code = str(reply).partition(" ")[0]
            if code == "READONLY":
                # The name may mean another server by now: do not stay with this one.
                self._pool(asked).close_idle()
            if code not in ("MOVED", "ASK"):
                break
            try:
                asked = redirection(str(reply), asked)
            except (IndexError, ValueError) as error:
                raise BackendProtocolError(f"{_text(asked)} replied {str(reply)!r}") from error
            if code == "MOVED":
                self._learn_slots(asked)
                found = self._exchange(asked, request)[0]
            else:
                both = [*pack(b"ASKING"), *request.parts]
                found = self._exchange(asked, Request(both, 2))[1]
            if not isinstance(found, ReplyError):
                return found
            reply = found
        raise reply_error(_text(asked), reply)

    def _pool(self, address: Address) -> _Pool:
        pool = self._pools.get(address)
        if pool is None:
            # Not by way of `self`: what is dropped unclosed then closes its connections at once.
            pool = self._pools.setdefault(address, ConnectionPool(partial(self._connect, address)))
        return pool

    def _exchange(self, address: Address, request: Request) -> list[object]:
        pool = self._pool(address)
        try:
            connection, was_used = pool.acquire()
            try:
                return self._exchange_over(connection, pool, request)
            except BackendUnreachableError:
                if not was_used:
                    raise
            pool.close_idle()
            return self._exchange_over(pool.connect(), pool, request)
        except BackendTimeoutError:
            self._suspects.add(address)
            raise

    @staticmethod
    def _exchange_over(connection: RespConnection, pool: _Pool, request: Request) -> list[object]:
        try:
            found = connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        pool.release(connection)
        return found


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


def _is_no_cluster(text: str) -> bool:
    """Whether an error means that CLUSTER SLOTS is not for this server, or not for this user."""
    return text.startswith("NOPERM") or "cluster support disabled" in text or "unknown" in text


def _joined(requests: Sequence[Sequence[Argument]]) -> list[Argument]:
    """The same bytes in fewer runs: many small requests are one send."""
    joined: list[Argument] = []
    small: list[Argument] = []
    for part in chain.from_iterable(requests):
        if len(part) < _JOINED_BYTES:
            small.append(part)
            continue
        joined += [b"".join(small), part]
        small = []
    return [*joined, b"".join(small)]
