"""Puts that their caller does not wait for.

They wait in a queue of bounded size for one thread, which is a daemon; at the end of the
interpreter they are given a few seconds more. A get finds what is still in the queue. A put beyond
the bounds is dropped and counted: the cache is there for its caller, not the reverse. A child made
by fork starts with an empty queue, because its parent writes what was in it.
"""

import atexit
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import ComputeOnce, Containing
from torchstash.cache.errors import BackendClosedError
from torchstash.cache.keys import encode_key
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.wrapper import Wrapper
from torchstash.proto.cache.v1.cache_sample_pb2 import OUTCOME_SKIPPED

# How often the thread looks whether anybody still has the backend.
_LOOK_AROUND_SECONDS = 1.0


class BackgroundPuts(Wrapper):
    """`inner`, whose puts return before it has them. What fails there is counted there.

    Args:
        inner: The backend inside.
        max_puts: How many puts may wait.
        max_bytes: How large their values may be together.
        exit_seconds: How long the end of the interpreter, or `close`, waits for them.
    """

    # What waits would have to be looked through, or waited for, by all others.
    honours: ClassVar[frozenset[type]] = frozenset({Containing, ComputeOnce})

    def __init__(
        self,
        inner: RemoteCacheBackend[bytes],
        *,
        max_puts: int = 1024,
        max_bytes: int = 256 << 20,
        exit_seconds: float = 5.0,
    ) -> None:
        super().__init__(inner)
        self._max_puts = max_puts
        self._max_bytes = max_bytes
        self._exit_seconds = exit_seconds
        self._closed = False
        self._dropped = 0
        self._reset()
        _QUEUES.add(self)

    def _reset(self) -> None:
        """Begin with nothing: in a new backend, and in a child made by fork."""
        # A condition cannot be a fork-safe lock, so it is made anew in a child.
        self._changed = threading.Condition()
        # What waits, by key, the first to be written first; a later value takes the place.
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        # What is being written, so that a get finds it.
        self._writing: tuple[str, bytes] | None = None
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Puts that the queue had no room for."""
        return self._dropped

    @override
    def _get(self, key: str) -> bytes | None:
        value = self._queued(key)
        return self.inner.get(key) if value is None else value

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(keys))
        queued = {key: self._queued(key) for key in wanted}
        found = {key: value for key, value in queued.items() if value is not None}
        absent = [key for key in wanted if key not in found]
        return found | (super().get_many(absent) if absent else {})

    @override
    def _put(self, key: str, data: Buffer) -> None:
        encode_key(key)
        # The caller may change a buffer before it is written.
        value = data if isinstance(data, bytes) else bytes(data)
        with self._changed:
            if self._closed:
                raise BackendClosedError("a put came after close; open the backend again")
            is_taken = self._enqueue(key, value)
        notes = current_notes()
        if notes is None:
            return
        if is_taken:
            notes.attributes["put"] = "queued"
        else:
            notes.fault(OUTCOME_SKIPPED, "the queue of background puts is full")

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        for key, data in values.items():
            self._put(key, data)

    @override
    def _contains(self, key: str) -> bool:
        return self._queued(key) is not None or super()._contains(key)

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Wait until everything that was put before is written, or has failed.

        Args:
            timeout_seconds: How long at most; None: as long as it takes.

        Returns:
            Whether the queue was empty in time.
        """
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout_seconds)

    @override
    def close(self) -> None:
        """Take no further puts, wait `exit_seconds` for those that wait, drop the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.flush(self._exit_seconds)
        with self._changed:
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
        super().close()

    def _is_idle(self) -> bool:
        return not self._waiting and self._writing is None

    def _queued(self, key: str) -> bytes | None:
        with self._changed:
            value = self._waiting.get(key)
            if value is None and self._writing is not None and self._writing[0] == key:
                return self._writing[1]
            return value

    def _enqueue(self, key: str, value: bytes) -> bool:
        replaced = self._waiting.pop(key, None)
        size_bytes = self._waiting_bytes - (0 if replaced is None else len(replaced)) + len(value)
        if size_bytes > self._max_bytes or len(self._waiting) >= self._max_puts:
            # The value that it would have replaced is older than the one that is dropped.
            self._waiting_bytes = size_bytes - len(value)
            self._dropped += 1
            return False
        self._waiting[key] = value
        self._waiting_bytes = size_bytes
        if self._thread is None:
            self._thread = threading.Thread(
                target=_write_all,
                args=(weakref.ref(self), self._changed),
                name="torchstash-background-puts",
                daemon=True,
            )
            self._thread.start()
        self._changed.notify_all()
        return True

    def write_next(self) -> bool:
        """Write one value; False: there was none. For the thread."""
        with self._changed:
            if not self._waiting:
                return False
            key, value = self._writing = self._waiting.popitem(last=False)
            self._waiting_bytes -= len(value)
        try:
            # What it raises is counted by `inner`; nobody waits for it here.
            with suppress(Exception):
                self.inner.put(key, value)
        finally:
            with self._changed:
                self._writing = None
                self._changed.notify_all()
        return True


def _write_all(backend: "weakref.ref[BackgroundPuts]", changed: threading.Condition) -> None:
    """The thread: writes until the backend is closed, or nobody has it any more."""
    while True:
        queue = backend()
        if queue is None:
            return
        if queue.write_next():
            continue
        with changed:
            if queue._closed:  # noqa: SLF001 - of this module
                return
            is_idle = not queue._waiting  # noqa: SLF001 - of this module
            # Not held while waiting, so that a backend that nobody has any more goes away.
            del queue
            if is_idle:
                changed.wait(_LOOK_AROUND_SECONDS)


class _Queues:
    """Every queue of this process, for its end and for forks."""

    def __init__(self) -> None:
        self._queues: weakref.WeakSet[BackgroundPuts] = weakref.WeakSet()
        os.register_at_fork(after_in_child=self._in_child)
        atexit.register(self._at_exit)

    def add(self, queue: BackgroundPuts) -> None:
        self._queues.add(queue)

    def _in_child(self) -> None:
        for queue in list(self._queues):
            queue._reset()  # noqa: SLF001 - of this module

    def _at_exit(self) -> None:
        started = time.monotonic()
        for queue in list(self._queues):
            elapsed = time.monotonic() - started
            queue.flush(max(0.0, queue._exit_seconds - elapsed))  # noqa: SLF001 - of this module


_QUEUES = _Queues()
