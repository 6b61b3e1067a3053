"""That a pull is under way, said in the store: so nobody takes what it fetched for left over.

    pulling/<when it last said so>/<process>/<32 hex>    no bytes (`process_key.py`)

A pull that is killed leaves its mark behind, and the process that the mark names is gone then.
"""

import threading
import time
from collections.abc import Iterable
from typing import Final

from torchstash.cache.disk import DiskBackend
from torchstash.content_store.process_identity import is_gone, is_running
from torchstash.content_store.process_key import identity_in, new_process_key

MARKS_PREFIX: Final = "pulling/"
_RENEWAL_SECONDS: Final = 300.0


class PullMark:
    """That of one pull. Thread-safe; raises what the engine raises."""

    def __init__(self, store: DiskBackend) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._key: str | None = None
        self._renewed_seconds = 0.0

    def show(self) -> None:
        """Have the mark there, not older than a few minutes. Cheap if it is."""
        with self._lock:
            now_seconds = time.monotonic()
            if self._key is not None and now_seconds - self._renewed_seconds < _RENEWAL_SECONDS:
                return
            before, self._key = self._key, new_process_key(MARKS_PREFIX, time.time())
            self._store.put(self._key, b"")
            self._renewed_seconds = now_seconds
            if before is not None:
                self._store.delete(before)

    def remove(self) -> None:
        """The pull has ended."""
        with self._lock:
            if self._key is not None:
                self._store.delete(self._key)
                self._key = None


def is_any_under_way(marks: Iterable[str], older_than_unix_seconds: float) -> bool:
    """Whether one of the marks is of a process that runs, or may run elsewhere and is not older."""
    for key in marks:
        when = key.removeprefix(MARKS_PREFIX).partition("/")[0]
        identity = identity_in(MARKS_PREFIX, key)
        is_recent = when.isdecimal() and int(when) >= older_than_unix_seconds
        if is_running(identity) or (is_recent and not is_gone(identity)):
            return True
    return False
