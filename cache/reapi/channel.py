"""The channel to one server: made when it is first used, and anew where it has failed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from torchstash.cache.errors import BackendForkedError, BackendSettingsError
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.reapi.status_errors import status_of

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
T = TypeVar("T")

_RECEIVE_MAX_BYTES = 64 << 20
# Calls that run at once over the one connection.
_AT_ONCE = 128


class _Runtime:
    """The threads of gRPC, which are one set for the whole process and do not cross a fork."""

    def __init__(self) -> None:
        self._pid: int | None = None

    def enter(self, place: str) -> None:
        """A call begins.

        Raises:
            BackendForkedError: The threads ran in the parent of this process: gRPC would hang.
        """
        pid = os.getpid()
        if self._pid is None:
            self._pid = pid
        elif self._pid != pid:
            raise BackendForkedError(
                f"this process was forked after gRPC was in use, so it cannot use {place}; "
                "fork before the first operation, or start it anew (spawn)"
            )


# Of the whole process, as the threads are.
_RUNTIME = _Runtime()


class Channel:
    """Calls methods of a server. Thread-safe.

    Args:
        place: Host and port.
        metadata: Sent with every call: credentials.
        tls: None: no TLS.
        timeouts: What each call is given, by the bytes that it moves.

    Raises:
        BackendSettingsError: The files of `tls` cannot be used.
    """

    def __init__(
        self,
        place: str,
        *,
        metadata: Mapping[str, str],
        tls: TlsSettings | None,
        timeouts: Timeouts,
    ) -> None:
        self.place = place
        self._metadata = tuple(metadata.items())
        self._credentials = None if tls is None else _credentials(tls)
        self._timeouts = timeouts
        self._current: grpc.Channel | None = None

    def unary(self, method: str, request: Message, answer: type[R], *, size_bytes: int = 0) -> R:
        """The answer to one request. `size_bytes` is what both together will move.

        Raises:
            grpc.RpcError: It failed; `run` tells what that means.
        """

        def call(channel: grpc.Channel) -> R:
            multicallable = channel.unary_unary(
                method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            found: R = multicallable(
                request, timeout=self._timeouts.for_bytes(size_bytes), metadata=self._metadata
            )
            return found

        return self.run(call)

    def unary_many(
        self, method: str, requests: Sequence[Message], answer: type[R], *, size_bytes: int = 0
    ) -> list[R | None]:
        """The answers to requests that run at once; None: NOT_FOUND. The first other error raises.

        `size_bytes` is what all of them together will move.
        """

        def call(channel: grpc.Channel) -> list[R | None]:
            multicallable = channel.unary_unary(
                method,
                request_serializer=type(requests[0]).SerializeToString,
                response_deserializer=answer.FromString,
            )
            timeout = self._timeouts.for_bytes(size_bytes)
            found: list[R | None] = []
            for start in range(0, len(requests), _AT_ONCE):
                calls = [
                    multicallable.future(request, timeout=timeout, metadata=self._metadata)
                    for request in requests[start : start + _AT_ONCE]
                ]
                try:
                    found += map(_result_or_none, calls)
                except BaseException:
                    for each in calls:
                        each.cancel()
                    raise
            return found

        return self.run(call) if requests else []

    def read(
        self,
        method: str,
        request: Message,
        answer: type[R],
        join: Callable[[Iterator[R]], T],
        *,
        size_bytes: int,
    ) -> T:
        """What `join` makes of the answers to one request, which move `size_bytes`."""

        def call(channel: grpc.Channel) -> T:
            multicallable = channel.unary_stream(
                method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            timeout = self._timeouts.for_bytes(size_bytes)
            return join(multicallable(request, timeout=timeout, metadata=self._metadata))

        return self.run(call)

    def write(
        self,
        method: str,
        request: type[Q],
        requests: Callable[[], Iterator[Q]],
        answer: type[R],
        *,
        size_bytes: int,
    ) -> R:
        """The answer to a stream of requests, which move `size_bytes`."""

        def call(channel: grpc.Channel) -> R:
            multicallable = channel.stream_unary(
                method,
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )
            timeout = self._timeouts.for_bytes(size_bytes)
            found: R = multicallable(requests(), timeout=timeout, metadata=self._metadata)
            return found

        return self.run(call)

    def run(self, call: Callable[[grpc.Channel], T]) -> T:
        """What a call returns. One that finds no server has another go over a new channel.

        gRPC lets a channel that has failed rest for a while, in which it fails every call at once.
        A cache has a breaker of its own around it, and should see that a server is back.
        """
        _RUNTIME.enter(self.place)
        channel = self._current
        if channel is not None:
            try:
                return call(channel)
            except grpc.RpcError as error:
                if status_of(error)[0] is not grpc.StatusCode.UNAVAILABLE:
                    raise
        channel = self._current = self._new()
        return call(channel)

    def close(self) -> None:
        """Close the channel; calls that run are cancelled."""
        channel, self._current = self._current, None
        if channel is not None:
            channel.close()

    def _new(self) -> grpc.Channel:
        options = [
            # Else a new channel takes over what the failed one had, its rest included.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", _RECEIVE_MAX_BYTES),
            ("grpc.min_reconnect_backoff_ms", round(self._timeouts.connect_seconds * 1000)),
            ("grpc.enable_retries", 0),
        ]
        if self._credentials is None:
            return grpc.insecure_channel(self.place, options)
        return grpc.secure_channel(self.place, self._credentials, options)


def _result_or_none(call: "grpc.Future[Any]") -> Any:  # noqa: ANN401 - of the method's own type
    try:
        return call.result()
    except grpc.RpcError as error:
        if status_of(error)[0] is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def _credentials(tls: TlsSettings) -> grpc.ChannelCredentials:
    if not tls.verify:
        raise BackendSettingsError(
            "gRPC cannot do without checking the server's certificate; "
            "give the authority that signed it as ca_file"
        )
    tls.context()  # Says what is wrong with the files, if something is.
    files = (tls.ca_file, tls.key_file or tls.certificate_file, tls.certificate_file)
    return grpc.ssl_channel_credentials(
        *(None if file is None else Path(file).read_bytes() for file in files)
    )
