"""Errors of obstore as this layer's typed errors.

obstore tells most faults apart only in the text of its error, which ends with a dump of the Rust
value. What is looked for there is what the pinned versions write; the tests meet each of them.
"""

import re

from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)

from torchstash.cache.errors import (
    BackendError,
    BackendFullError,
    BackendMissingError,
    BackendRefusedError,
    BackendSettingsError,
    BackendTimeoutError,
    BackendUnreachableError,
)

_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|specified bucket does not exist")
_NO_CREDENTIALS = re.compile(
    r"169\.254\.169\.254|metadata\.google|[Cc]redential|AuthorizationFailure"
)
_STATUS = re.compile(r"non-2xx status code: (\d+)")
_TIMEOUT = re.compile(r"kind: Timeout|TimedOut|operation timed out")
_BROKEN_OFF = re.compile(
    r"kind: (Connect|Request|Interrupted|Decode|Unknown)|error sending request|ConnectionReset"
    r"|IncompleteMessage|UnexpectedEof|kind: Body|error decoding response body"
)
_MAX_TEXT_CHARACTERS = 400

ENGINE_ERRORS = (BaseError, FileNotFoundError)


def backend_error(place: str, error: Exception) -> BackendError:
    """The typed error that says what `error` means for the store at `place`."""
    kind, advice = _meaning(error)
    return kind(f"the object store at {place} failed ({_shown(error)}); {advice}")


def is_absence(error: Exception) -> bool:
    """Whether an error says that there is no such object, in a bucket that exists."""
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
        return not _NO_BUCKET.search(str(error))
    return False


def _meaning(error: Exception) -> tuple[type[BackendError], str]:
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return BackendRefusedError, "check the credentials, and what they allow"
    if isinstance(error, UnknownConfigurationKeyError):
        return BackendSettingsError, "options are named as obstore names them"
    return _meaning_of_text(str(error))


def _meaning_of_text(text: str) -> tuple[type[BackendError], str]:
    if _NO_BUCKET.search(text):
        return BackendMissingError, "create the bucket, or name another"
    if _TIMEOUT.search(text):
        return BackendTimeoutError, "is it overloaded, or the network slow?"
    status = _STATUS.search(text)
    if status is not None:
        return _meaning_of_status(int(status[1]), text)
    if _BROKEN_OFF.search(text):
        return BackendUnreachableError, "is it running there, and does the address fit?"
    if _NO_CREDENTIALS.search(text):
        return BackendRefusedError, "give credentials, in its options or in the environment"
    return BackendError, "see what it says"


def _meaning_of_status(status: int, text: str) -> tuple[type[BackendError], str]:
    if _NO_CREDENTIALS.search(text) or status in (401, 403):
        return BackendRefusedError, "give credentials, in its options or in the environment"
    if status == 507:
        return BackendFullError, "free some space"
    if status == 429 or status >= 500:
        return BackendUnreachableError, "it does not serve now: try again later"
    return BackendError, "see what it says"


def _shown(error: Exception) -> str:
    """What the server said, on one line: without the dump, and without signatures in addresses."""
    text = str(error).partition("\n\nDebug source")[0]
    text = re.sub(r"\?\S*", "?...", text)
    return " ".join(text.split())[:_MAX_TEXT_CHARACTERS]
