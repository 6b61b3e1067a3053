"""Errors of the cache layer.

    CacheError
    +-- InvalidKeyError (ValueError)       a key that UTF-8 cannot encode
    +-- DigestConflictError (ValueError)   one digest was given for contents of two sizes
    +-- MissingLinkError (ValueError)      an entry needs contents that are not there
    +-- DecodeError (ValueError)           bytes that are no value of the serde's type
    +-- EntryExistsError (FileExistsError) an entry was to be renamed to one that there is
    +-- CorruptEntryError                  an entry whose bytes are not those that were put
    +-- SampleFileError                    a sample that a file of samples could not take
    +-- BackendError                       the engine cannot do what was asked
        +-- BackendClosedError             it was closed
        +-- BackendForkedError             it was in use while the process forked
        +-- BackendMissingError            there is nothing at the place that was named
        +-- BackendFormatError             what is there is foreign, or of a newer format
        +-- BackendCorruptError            its catalogue is damaged
        +-- BackendReadOnlyError           it cannot be written
        +-- BackendFullError               no space is left
        |   +-- BackendQuotaError          the store may not hold as much as was asked
        +-- BackendBusyError (TimeoutError)  others held it for too long
        +-- BackendSettingsError (ValueError)  it was asked for with settings that cannot work
        +-- BackendLibraryError (ImportError)  the library that it needs is not installed
        +-- BackendUnreachableError (ConnectionError)  no server answers, or it broke off
        +-- BackendTimeoutError (TimeoutError)  a server did not answer in time
        +-- BackendRefusedError            a server does not trust us, or we not it
        +-- BackendProtocolError           a server answered what it should not
        +-- BackendSkippedError            it was not asked: it failed too often of late

Every message says what was asked, what was found and what to do.
"""

from typing_extensions import override


class CacheError(Exception):
    """Base of every error that the cache layer raises on its own account."""


class InvalidKeyError(CacheError, ValueError):
    """A key holds lone surrogates, so UTF-8 cannot encode it."""


class DigestConflictError(CacheError, ValueError):
    """A digest was given for contents of another size than those kept under it."""


class MissingLinkError(CacheError, ValueError):
    """An entry was to link contents that neither the store nor the commit has."""


class EntryExistsError(CacheError, FileExistsError):
    """An entry was to be renamed, and there is one of the new name already."""


class DecodeError(CacheError, ValueError):
    """Bytes from a backend are no encoded value of the type that the serde is for."""


class CorruptEntryError(CacheError):
    """An entry was found, but its bytes are not those that were put.

    Attributes:
        key: The key that was asked.
        found: What was found, for people.
    """

    def __init__(self, key: str, found: str) -> None:
        super().__init__(key, found)
        self.key = key
        self.found = found

    @override
    def __str__(self) -> str:
        return (
            f"the entry {self.key!r} is damaged: {self.found}; "
            "put it again to repair it, or delete it"
        )


class SampleFileError(CacheError):
    """A file of samples did not take a sample, or not all of it."""


class BackendError(CacheError):
    """A storage engine cannot do what it was asked."""


class BackendClosedError(BackendError):
    """A backend was used after it was closed."""


class BackendForkedError(BackendError):
    """A backend cannot be used in this process, which was forked while it was in use."""


class BackendMissingError(BackendError):
    """There is no store at the place that was named, or it was removed meanwhile."""


class BackendFormatError(BackendError):
    """What lies at the place that was named is not ours, or was made by a newer version."""


class BackendCorruptError(BackendError):
    """A backend's own catalogue is damaged."""


class BackendReadOnlyError(BackendError):
    """A backend was opened read-only, or its place cannot be written."""


class BackendFullError(BackendError):
    """No space is left where a backend keeps its values. What it held before is intact."""


class BackendQuotaError(BackendFullError):
    """A commit would take a store beyond its quota. Nothing of it was kept.

    Attributes:
        place: The folder of the store.
        quota_bytes: What the contents of the store may take.
        used_bytes: What they take.
        asked_bytes: What the commit would have added.
    """

    def __init__(self, place: str, quota_bytes: int, used_bytes: int, asked_bytes: int) -> None:
        super().__init__(place, quota_bytes, used_bytes, asked_bytes)
        self.place = place
        self.quota_bytes = quota_bytes
        self.used_bytes = used_bytes
        self.asked_bytes = asked_bytes

    @override
    def __str__(self) -> str:
        return (
            f"the store at {self.place} has a quota of {self.quota_bytes} bytes and uses "
            f"{self.used_bytes}; {self.asked_bytes} more were asked for, so nothing was written: "
            "delete what is not needed, or raise the quota"
        )


class BackendBusyError(BackendError, TimeoutError):
    """Other processes held a backend for longer than a caller waits."""


class BackendSettingsError(BackendError, ValueError):
    """A backend was asked for with settings that cannot work."""


class BackendLibraryError(BackendError, ImportError):
    """The library that an engine needs is not installed."""


class BackendUnreachableError(BackendError, ConnectionError):
    """No server answers, or it broke off, or says that it does not serve now."""


class BackendTimeoutError(BackendError, TimeoutError):
    """A server did not answer within the time that its backend gives it."""


class BackendRefusedError(BackendError):
    """A server does not take our credentials, or one side's certificate is not trusted."""


class BackendProtocolError(BackendError):
    """A server answered what the protocol, or its part in it, does not allow."""


class BackendSkippedError(BackendError):
    """A backend was not asked, because of what happened before."""
