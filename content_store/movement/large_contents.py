"""Contents of more than a part on their way into a store: gathered in a file, then kept."""

from torchstash.cache.disk import DiskBackend, LinkedContents, Put
from torchstash.content_store.arrivals import Arrivals, arrival_key
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import StoreUnavailableError
from torchstash.content_store.movement.damage import damaged_there
from torchstash.content_store.movement.layout import described
from torchstash.content_store.movement.partial_file import PartialFile
from torchstash.content_store.movement.progress import Tally
from torchstash.content_store.movement.source import Source
from torchstash.content_store.movement.threads import Crew


class LargeContents:
    """Fetches from `source` into `store`, from the part on at which an earlier pull ended.

    Thread-safe.
    """

    def __init__(
        self, source: Source, store: DiskBackend, arrivals: Arrivals, tally: Tally
    ) -> None:
        self._source = source
        self._store = store
        self._arrivals = arrivals
        self._tally = tally

    def keep(self, wanted: LinkedContents, key: str, crew: Crew) -> None:
        """Have them in the store, as an entry of their own.

        Args:
            wanted: The contents.
            key: What leads to them, for messages.
            crew: Whether to go on.

        Raises:
            CorruptStorageError: They are not what they should be; nothing of them is kept.
            StoreUnavailableError: They cannot be written.
        """
        path = self._store.partial_path(wanted.digest)
        try:
            with (
                store_errors(self._store.path),
                PartialFile.locked(path, wanted.size_bytes) as file,
            ):
                if self._store.lacks([wanted]):
                    self._gather(file, wanted, key, crew)
                else:  # Another process was faster.
                    file.remove()
        except OSError as error:
            raise StoreUnavailableError(
                f"{described(key)} cannot be written to the content store at {self._store.path}: "
                f"{error}; what has arrived is kept: call again to go on"
            ) from error

    def _gather(self, file: PartialFile, wanted: LinkedContents, key: str, crew: Crew) -> None:
        was_there = file.parts > 0
        self._fill(file, wanted, key, crew)
        if not file.is_whole(wanted.digest) and was_there:
            # What an earlier pull left behind may be what is wrong.
            file.discard()
            self._fill(file, wanted, key, crew)
        if not file.is_whole(wanted.digest):
            file.remove()
            raise damaged_there(wanted, key, self._source.place, "its bytes have another digest")
        self._store.commit((Put(arrival_key(wanted.digest), file.finish(), wanted.digest),))

    def _fill(self, file: PartialFile, wanted: LinkedContents, key: str, crew: Crew) -> None:
        for part in self._source.parts(wanted, file.parts, described(key)):
            crew.require_going_on()
            self._arrivals.going_on()
            file.append(part)
            self._tally.moved(wanted.digest, len(part))
