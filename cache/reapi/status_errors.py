"""Statuses of gRPC as this layer's typed errors."""

from typing import Any

import grpc

from torchstash.cache.errors import (
    BackendError,
    BackendFullError,
    BackendProtocolError,
    BackendRefusedError,
    BackendTimeoutError,
    BackendUnreachableError,
)

_MEANINGS: dict[grpc.StatusCode, tuple[type[BackendError], str]] = {
    grpc.StatusCode.ABORTED: (BackendUnreachableError, "try again later"),
    grpc.StatusCode.CANCELLED: (BackendUnreachableError, "was the backend closed meanwhile?"),
    grpc.StatusCode.DATA_LOSS: (BackendUnreachableError, "the server has lost it"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        BackendTimeoutError,
        "is it overloaded, or the network slow?",
    ),
    grpc.StatusCode.INTERNAL: (BackendUnreachableError, "see the server's own log"),
    grpc.StatusCode.PERMISSION_DENIED: (BackendRefusedError, "check what the user may do"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (BackendFullError, "free some space, or raise its quota"),
    grpc.StatusCode.UNAUTHENTICATED: (BackendRefusedError, "check the token or the password"),
    grpc.StatusCode.UNAVAILABLE: (BackendUnreachableError, "is the server running there?"),
    grpc.StatusCode.UNIMPLEMENTED: (
        BackendProtocolError,
        "name a server of the Remote Execution API",
    ),
    grpc.StatusCode.UNKNOWN: (BackendUnreachableError, "see the server's own log"),
}
# TLS that cannot be agreed on is UNAVAILABLE, too.
_TLS_PHRASES = ("handshake failed", "CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")

# All that is seen of a server that wants TLS and is not spoken to in it, or refuses us for our
# certificate.
_BROKE_OFF = "Socket closed"


def status_error(place: str, error: grpc.RpcError) -> BackendError:
    """The typed error that says what the failed call to the server at `place` means."""
    code, details = status_of(error)
    kind, advice = _MEANINGS.get(code, (BackendError, "see what it says"))
    if kind is BackendUnreachableError and any(phrase in details for phrase in _TLS_PHRASES):
        kind, advice = BackendRefusedError, "check that it speaks TLS, and the certificates"
    elif kind is BackendUnreachableError and _BROKE_OFF in details:
        advice = "is the server running there, does it want TLS, and a certificate of ours?"
    return kind(f"the remote cache at {place} failed with {code.name} ({details}); {advice}")


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """The code and the details of a failed call."""
    # What a call raises is a `grpc.Call` as well, which the types do not say.
    call: Any = error
    return call.code(), call.details() or ""
