"""Where names and contents come from: a content store, or a remote."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents, LinkedEntry


class OvertakenError(Exception):
    """Another process replaced or deleted meanwhile what was looked up: look it up again."""


class Source(ABC):
    """Reads; thread-safe. Contents are what the source says: the caller checks their digest.

    Attributes:
        place: For messages, without secrets.
        at_once: How many contents are best asked for together.
    """

    place: str
    at_once: int = 128

    @abstractmethod
    def keys(self, prefix: str) -> Iterator[str]:
        """The store's keys that begin with `prefix`.

        Raises:
            PlaceUnlistableError: The source cannot list.
        """

    @abstractmethod
    def find(self, keys: Sequence[str], *, again: bool = False) -> dict[str, LinkedEntry]:
        """Those of the keys that are there, and what they lead to.

        Args:
            keys: Keys of a store.
            again: They will be asked for once more: what costs a request may be kept for that.

        Raises:
            CorruptMetadataError: What is recorded of one is damaged; names it.
        """

    @abstractmethod
    def small(self, wanted: Sequence[LinkedContents], wanted_by: str) -> dict[Digest, bytes]:
        """Contents of at most `PART_BYTES` each, whole; what is missing is left out."""

    @abstractmethod
    def parts(
        self, wanted: LinkedContents, first: int, wanted_by: str
    ) -> Iterator[bytes | memoryview]:
        """Contents in parts of `PART_BYTES`, from the part of number `first`.

        Raises:
            CorruptStorageError: A part is missing, or has another size.
        """

    @abstractmethod
    def size_bytes(self, digest: Digest) -> int | None:
        """The size of the contents that are there under a digest, unchecked; None: there are none.

        For contents that nothing is recorded of: where it is recorded, this costs in vain.
        """
