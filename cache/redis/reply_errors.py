"""Errors that a server replied, as this layer's typed errors."""

from torchstash.cache.errors import (
    BackendBusyError,
    BackendError,
    BackendFormatError,
    BackendFullError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendUnreachableError,
)
from torchstash.cache.redis.connection import ReplyError

# By the code that the reply begins with: the type, and what to do.
_MEANINGS: dict[str, tuple[type[BackendError], str]] = {
    "NOAUTH": (BackendRefusedError, "give a password"),
    "WRONGPASS": (BackendRefusedError, "check the user and the password"),
    "NOPERM": (BackendRefusedError, "give the user these commands and keys: ACL SETUSER"),
    "DENIED": (BackendRefusedError, "the server is in protected mode: set a password"),
    "OOM": (BackendFullError, "raise maxmemory, or set a maxmemory-policy that evicts"),
    "READONLY": (BackendReadOnlyError, "name the primary instead of a replica"),
    "NOREPLICAS": (BackendReadOnlyError, "bring its replicas back, see min-replicas-to-write"),
    "MISCONF": (BackendReadOnlyError, "free its disk: it cannot save what it holds"),
    "LOADING": (BackendUnreachableError, "wait until it has loaded its data"),
    "MASTERDOWN": (BackendUnreachableError, "bring its primary back"),
    "CLUSTERDOWN": (BackendUnreachableError, "bring the missing masters of the cluster back"),
    "TRYAGAIN": (BackendUnreachableError, "wait until the slot has moved"),
    "MOVED": (BackendUnreachableError, "wait until the cluster agrees where the slot is"),
    "ASK": (BackendUnreachableError, "wait until the slot has moved"),
    "BUSY": (BackendBusyError, "stop the script that it runs: SCRIPT KILL"),
    "WRONGTYPE": (BackendFormatError, "another program uses this key: choose another prefix"),
}
# Errors without a code of their own.
_PHRASES: list[tuple[str, type[BackendError], str]] = [
    ("max number of clients", BackendUnreachableError, "raise maxclients, or close other clients"),
    ("without any password configured", BackendRefusedError, "leave the password out"),
    ("invalid password", BackendRefusedError, "check the password"),
    ("DB index is out of range", BackendRefusedError, "choose another db, or raise `databases`"),
    ("SELECT is not allowed in cluster mode", BackendRefusedError, "a cluster has only db 0"),
]


def reply_error(place: str, reply: ReplyError) -> BackendError:
    """The typed error that says what `reply` of the server at `place` means."""
    text = str(reply)
    kind, advice = _MEANINGS.get(text.partition(" ")[0], (BackendError, ""))
    if kind is BackendError:
        for phrase, phrase_kind, phrase_advice in _PHRASES:
            if phrase in text:
                kind, advice = phrase_kind, phrase_advice
    return kind(f"the Redis server at {place} replied {text!r}" + (f"; {advice}" if advice else ""))
