"""Errors of the other side's engine as errors of this layer."""

from torchstash.cache.errors import CacheError, CorruptEntryError
from torchstash.content_store.errors import CorruptStorageError, PlaceUnavailableError


class place_errors:  # noqa: N801 - used like a function
    """Raises what the engine at `place` raises as a `ContentStoreError`.

    Args:
        place: For messages, without secrets.
        wanted: For messages: what is being moved. None: nothing yet.
    """

    __slots__ = ("_place", "_wanted")

    def __init__(self, place: str, wanted: str | None) -> None:
        self._place = place
        self._wanted = wanted

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, CorruptEntryError):
            raise CorruptStorageError(
                f"{self._wanted or 'an entry'} at {self._place} is damaged: {error.found}; push it "
                "again with verify=True"
            ) from error
        if isinstance(error, CacheError):
            doing = "" if self._wanted is None else f" while moving {self._wanted}"
            raise PlaceUnavailableError(
                f"{self._place} failed{doing}: {error}; nothing that was moved is lost: "
                "call again to go on"
                if self._wanted is not None
                else f"{self._place} cannot be used: {error}"
            ) from error
