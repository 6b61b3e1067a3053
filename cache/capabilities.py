"""What a backend may be able to do beyond `get` and `put`, one small interface each.

A backend says what it can do by deriving from these; callers ask with `isinstance`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self


class Deletable(ABC):
    """Entries can be removed."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove the entry of `key`. False: there was none."""


class Containing(ABC):
    """Presence can be asked for without reading the value."""

    @abstractmethod
    def contains(self, key: str) -> bool:
        """Whether there is an entry of `key`. Its bytes are not looked at."""


class Listable(ABC):
    """Keys can be listed."""

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, in the order of their UTF-8 bytes, streamed.

        Keys that are put or deleted while the iteration runs may appear or not.
        """


class Closable(ABC):
    """Holds resources that `close` gives back; a context manager."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. A second call does nothing; any other use raises afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ManyAtOnce(ABC):
    """Several values cost little more than one."""

    @abstractmethod
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The values of those `keys` that have one."""

    @abstractmethod
    def put_many(self, values: Mapping[str, bytes]) -> None:
        """Keep every value under its key. After an error any of them may be kept."""


class InTwoParts(ABC):
    """What stands before a value is put and got apart from it: so the value is never copied."""

    @abstractmethod
    def get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        """The value of `key`, as its first `head_bytes` bytes (or all, if fewer) and the others."""

    @abstractmethod
    def put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        """Keep `head` and after it `body` as the value of `key`."""


class PutIfAbsent(ABC):
    """An entry can be made by one of many that try at once: what a lease is made of."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Keep `data` under `key` if there is no entry. False: there was one, which stays."""


class Leasable(ABC):
    """The work on a key can be claimed by one of many processes, for a bounded time.

    A claim keeps nobody from anything: it tells others that they may wait. It may rarely be given
    to two at once, where its time runs out or where clocks differ.
    """

    @abstractmethod
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        """Claim the work on `key` for so long. False: it is claimed, be it by the same holder."""

    @abstractmethod
    def release_lease(self, key: str, holder: bytes) -> None:
        """Give the claim back, if `holder` has it still."""


class ComputeOnce(ABC):
    """Others may be waiting for the value that a get did not find."""

    @abstractmethod
    def abandon(self, key: str) -> None:
        """Tell them that the caller of the get will not put it after all."""


class SelfTimed:
    """Every operation ends in time on the backend's own account, whatever its server does.

    The promise covers the whole operation, a server that drips its answer included, once a
    connection stands; only name look-ups may take longer. A marker, without methods.
    """


class MayTear:
    """A put that broke off may leave a part of its value: that is the server's affair.

    So a value that is there need not be whole. A marker, without methods.
    """
