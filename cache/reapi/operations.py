"""Values as results in the action cache of one instance."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from torchstash.cache.action_result import (
    INLINE_MAX_BYTES,
    found_result,
    inline_result,
    pointing_result,
)
from torchstash.cache.errors import BackendReadOnlyError, CorruptEntryError
from torchstash.cache.keys import encode_key
from torchstash.cache.reapi.agreement import Agreement, agree
from torchstash.cache.reapi.channel import Channel
from torchstash.cache.reapi.contents import Contents
from torchstash.cache.reapi.status_errors import status_error, status_of
from torchstash.proto.reapi.v2.action_cache_pb2 import (
    GetActionResultRequest,
    UpdateActionResultRequest,
)
from torchstash.proto.reapi.v2.action_result_pb2 import ActionResult
from torchstash.proto.reapi.v2.digest_pb2 import Digest

_ACTION_CACHE = "/build.bazel.remote.execution.v2.ActionCache"


class Operations:
    """What a backend does, on one instance. Thread-safe.

    The server is asked what it can do before the first operation, and then no more.

    Raises (from every method):
        BackendError: The server cannot be reached, or refused; the subclass tells why.
    """

    def __init__(self, channel: Channel, instance_name: str) -> None:
        self._channel = channel
        self._instance_name = instance_name
        self._agreed: Agreement | None = None

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None: there is none, or its content is gone."""
        with self._typed_errors():
            agreement = self._agreement()
            result = self._result(agreement, key, inline=True)
            if result is None:
                return None
            found = found_result(key, result)
            if found.value is not None:
                return found.value
            digest = Digest(hash=found.hash, size_bytes=found.size_bytes)
            value = self._contents(agreement).get(digest)
            if value is not None and agreement.hashing.digest(value) != digest:
                raise CorruptEntryError(
                    key, f"the blob {digest.hash} has {len(value)} bytes that are not its own"
                )
            return value

    def contains(self, key: str) -> bool:
        """Whether there is a result for `key`."""
        with self._typed_errors():
            return self._result(self._agreement(), key, inline=False) is not None

    def put(self, key: str, data: memoryview) -> None:
        """Keep `data` as the result for `key`: its content first, then what points to it."""
        with self._typed_errors():
            agreement = self._agreement()
            if not agreement.may_update:
                raise BackendReadOnlyError(
                    f"the remote cache at {self._channel.place} takes no results from clients; "
                    "let it allow UpdateActionResult, or use it read-only"
                )
            if 0 < len(data) <= INLINE_MAX_BYTES:
                result = inline_result(data)
            else:
                digest = agreement.hashing.digest(data)
                self._contents(agreement).put(digest, data)
                result = pointing_result(digest.hash, digest.size_bytes)
            self._channel.unary(
                f"{_ACTION_CACHE}/UpdateActionResult",
                UpdateActionResultRequest(
                    instance_name=self._instance_name,
                    action_digest=_action_digest(agreement, key),
                    action_result=result,
                    digest_function=agreement.hashing.number,
                ),
                ActionResult,
            )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _result(self, agreement: Agreement, key: str, *, inline: bool) -> ActionResult | None:
        request = GetActionResultRequest(
            instance_name=self._instance_name,
            action_digest=_action_digest(agreement, key),
            inline_stdout=inline,
            digest_function=agreement.hashing.number,
        )
        try:
            return self._channel.unary(f"{_ACTION_CACHE}/GetActionResult", request, ActionResult)
        except grpc.RpcError as error:
            if status_of(error)[0] is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def _agreement(self) -> Agreement:
        if self._agreed is None:
            self._agreed = agree(self._channel, self._instance_name)
        return self._agreed

    def _contents(self, agreement: Agreement) -> Contents:
        return Contents(self._channel, self._instance_name, agreement)

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise status_error(self._channel.place, error) from error


def _action_digest(agreement: Agreement, key: str) -> Digest:
    """The digest of the action that a key stands for; such an action is never uploaded."""
    return agreement.hashing.digest(b"torchstash\0" + encode_key(key))
