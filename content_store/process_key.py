"""Keys that tell when an entry was made, and by which process: for entries that may be left behind.

<prefix><when, in seconds since 1970>/<process>/<32 hex>
"""

import uuid

from torchstash.content_store.process_identity import own_identity


def new_process_key(prefix: str, now_unix_seconds: float) -> str:
    """A key that nobody else has, in the order of time."""
    return f"{earliest_key(prefix, now_unix_seconds)}/{own_identity()}/{uuid.uuid4().hex}"


def earliest_key(prefix: str, unix_seconds: float) -> str:
    """What all keys are above that were made at that second or later."""
    return f"{prefix}{max(0, int(unix_seconds)):012d}"


def identity_in(prefix: str, key: str) -> str:
    """The identity of the process that made a key; "" where it names none."""
    return key.removeprefix(prefix).partition("/")[2].partition("/")[0]
