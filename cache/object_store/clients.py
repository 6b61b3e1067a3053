"""The clients of one bucket, each with a time budget of its own.

obstore fixes the budget of a whole request when a client is made. Reads do without: the time of
each piece is bounded, and the reader adds them up. Writes take the client of their class of size.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import obstore
from obstore.store import ObjectStore, from_url

from torchstash.cache.errors import BackendForkedError, BackendSettingsError
from torchstash.cache.network import Timeouts
from torchstash.cache.object_store.error_mapping import ENGINE_ERRORS, backend_error

# Writes up to here share the smallest class; each further class has four times the last one.
_CLASS_BYTES = 1 << 20
# The largest object that S3 takes in one request.
MAX_OBJECT_BYTES = 5 << 30


class _Runtime:
    """The threads of obstore, which are one set for the whole process and do not cross a fork."""

    def __init__(self) -> None:
        self._pid: int | None = None

    def enter(self, place: str) -> None:
        """An operation begins.

        Raises:
            BackendForkedError: The threads ran in the parent of this process: obstore would hang.
        """
        pid = os.getpid()
        if self._pid is None:
            self._pid = pid
        elif self._pid != pid:
            raise BackendForkedError(
                f"this process was forked after object stores were in use, so it cannot use "
                f"{place}; fork before the first operation, or start it anew (spawn)"
            )


# Of the whole process, as the threads are.
_RUNTIME = _Runtime()


class Clients:
    """Makes clients when they are first used. Thread-safe.

    Raises:
        BackendSettingsError: The URL or the options mean no store.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, str],
        client_options: Mapping[str, Any],
        timeouts: Timeouts,
    ) -> None:
        self.place = url
        self.timeouts = timeouts
        self._options = dict(options)
        self._client_options = dict(client_options)
        self._writers: dict[int, ObjectStore] = {}
        self._reader = self._client(
            timeout=timedelta(seconds=timeouts.for_bytes(MAX_OBJECT_BYTES)),
            read_timeout=timedelta(seconds=timeouts.operation_seconds),
        )

    def reader(self) -> ObjectStore:
        """For everything but writes."""
        _RUNTIME.enter(self.place)
        return self._reader

    def writer(self, size_bytes: int) -> ObjectStore:
        """For a write of so many bytes."""
        _RUNTIME.enter(self.place)
        size_class = 0
        if size_bytes > _CLASS_BYTES:
            size_class = math.ceil(math.log(size_bytes / _CLASS_BYTES, 4))
        writer = self._writers.get(size_class)
        if writer is None:
            budget = self.timeouts.for_bytes(_CLASS_BYTES * 4**size_class)
            writer = self._writers[size_class] = self._client(timeout=timedelta(seconds=budget))
        return writer

    def names(self) -> Iterator[str]:
        """The names of all objects, below the prefix of the store."""
        for page in obstore.list(self.reader()):
            for item in page:
                yield item["path"]

    def _client(self, **limits: timedelta) -> ObjectStore:
        try:
            # Its overloads want each store's own options, by name.
            make: Callable[..., ObjectStore] = from_url
            return make(
                self.place,
                config=self._options,
                client_options={
                    **self._client_options,
                    "connect_timeout": timedelta(seconds=self.timeouts.connect_seconds),
                    **limits,
                },
                # Another attempt is the caller's to decide: it has a budget of its own.
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
            )
        except (*ENGINE_ERRORS, ValueError) as error:
            raise BackendSettingsError(
                f"{self.place!r} with the options {sorted(self._options)} is no object store: "
                f"{backend_error(self.place, error)}"
            ) from error
