"""What is asked of a bucket, by the names of objects: one request each, in time, errors typed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError

from torchstash.cache.buffers import PartsToFill
from torchstash.cache.errors import (
    BackendError,
    BackendSettingsError,
    BackendTimeoutError,
)
from torchstash.cache.network import Timeouts
from torchstash.cache.object_store.clients import MAX_OBJECT_BYTES, Clients
from torchstash.cache.object_store.error_mapping import ENGINE_ERRORS, backend_error, is_absence

if TYPE_CHECKING:
    from obstore import UpdateVersion


def open_operations(
    *,
    url: str,
    options: Mapping[str, str],
    allow_http: bool,
    ca_file: str | None,
    timeouts: Timeouts,
) -> "Operations":
    """The bucket that `url` names. Connects to nothing yet.

    Raises:
        BackendSettingsError: The settings mean no bucket.
    """
    client_options: dict[str, object] = {"allow_http": allow_http}
    if ca_file is not None:
        try:
            client_options["root_certificate"] = Path(ca_file).read_bytes()
        except OSError as error:
            raise BackendSettingsError(
                f"the authority {ca_file!r} cannot be read ({error}); name a PEM file"
            ) from error
    return Operations(
        Clients(url, options=options, client_options=client_options, timeouts=timeouts)
    )


@dataclass(frozen=True, slots=True)
class Version:
    """What an object was when it was read; `e_tag` and `version` name that for a condition."""

    data: bytes
    e_tag: str | None
    version: str | None


class Operations:
    """Requests to one bucket. Thread-safe.

    Raises (from every method):
        BackendError: The store cannot be reached, or refused; the subclass tells why.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def get(self, name: str, head_bytes: int = 0) -> tuple[bytes, bytes] | None:
        """The contents of an object, the first `head_bytes` of them apart, or None."""
        started = time.monotonic()
        timeouts = self._clients.timeouts
        with self._typed_errors():
            try:
                answer = obstore.get(self._clients.reader(), name)
            except ENGINE_ERRORS as error:
                if is_absence(error):
                    return None
                raise
            size_bytes = answer.meta["size"]
            filled = PartsToFill(size_bytes, head_bytes)
            for piece in answer.stream(min_chunk_size=1):
                filled.add(piece)
                spent = time.monotonic() - started
                if spent > timeouts.for_bytes(filled.received_bytes):
                    raise BackendTimeoutError(
                        f"the object store at {self._clients.place} gave {filled.received_bytes} "
                        f"bytes of {name!r} in {spent:.2f} s; is it overloaded, or the network "
                        "slow?"
                    )
            if filled.received_bytes != size_bytes:
                raise BackendError(
                    f"the object store at {self._clients.place} gave {filled.received_bytes} bytes "
                    f"of {name!r} instead of {size_bytes}"
                )
            return filled.finish()

    def put(
        self,
        name: str,
        data: Sequence[bytes | memoryview],
        attributes: dict[str, str],
        *,
        only_new: bool = False,
    ) -> bool:
        """Make or replace an object, whose contents are these parts.

        False: `only_new` was asked for, and there is one.
        """
        size_bytes = sum(map(len, data))
        if size_bytes > MAX_OBJECT_BYTES:
            raise BackendSettingsError(
                f"a value of {size_bytes} bytes is larger than the {MAX_OBJECT_BYTES} bytes that a "
                "store takes at once; store it in parts"
            )
        with self._typed_errors():
            try:
                obstore.put(
                    self._clients.writer(size_bytes),
                    name,
                    # obstore sends each part from where it lies.
                    [part for part in data if len(part)] or b"",
                    attributes=attributes or None,
                    mode="create" if only_new else "overwrite",
                    use_multipart=False,
                )
            except AlreadyExistsError:
                return False
            return True

    def get_version(self, name: str) -> Version | None:
        """The contents of a small object, and which version of it that is; None: there is none."""
        with self._typed_errors():
            try:
                answer = obstore.get(self._clients.reader(), name)
            except ENGINE_ERRORS as error:
                if is_absence(error):
                    return None
                raise
            meta = answer.meta
            return Version(bytes(answer.bytes()), meta.get("e_tag"), meta.get("version"))

    def replace(self, name: str, data: memoryview, known: Version) -> bool:
        """Replace an object. False: it is not as it was known to be."""
        condition: UpdateVersion = {}
        if known.e_tag is not None:
            condition["e_tag"] = known.e_tag
        if known.version is not None:
            condition["version"] = known.version
        with self._typed_errors():
            try:
                obstore.put(
                    self._clients.writer(len(data)),
                    name,
                    data,
                    mode=condition,
                    use_multipart=False,
                )
            except (PreconditionError, AlreadyExistsError):
                return False
            return True

    def attributes(self, name: str) -> dict[str, str] | None:
        """The metadata of an object, or None."""
        with self._typed_errors():
            try:
                answer = obstore.get(self._clients.reader(), name, options={"head": True})
            except ENGINE_ERRORS as error:
                if is_absence(error):
                    return None
                raise
            return {str(key): str(value) for key, value in answer.attributes.items()}

    def delete(self, name: str) -> None:
        """Remove an object, if there is one."""
        with self._typed_errors():
            try:
                obstore.delete(self._clients.reader(), name)
            except ENGINE_ERRORS as error:
                if not is_absence(error):
                    raise

    def names(self) -> Iterator[str]:
        """The names of all objects."""
        with self._typed_errors():
            yield from self._clients.names()

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except ENGINE_ERRORS as error:
            raise backend_error(self._clients.place, error) from error
