"""Values as results in the action cache of one instance."""

from collections.abc import Iterator, Mapping, Sequence
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

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that have one whose content is not gone."""
        with self._typed_errors():
            agreement = self._agreement()
            values: dict[str, bytes] = {}
            blobs: dict[str, Digest] = {}
            for key, result in zip(keys, self._results(agreement, keys, inline=True), strict=True):
                if result is None:
                    continue
                found = found_result(key, result)
                if found.value is not None:
                    values[key] = found.value
                else:
                    blobs[key] = Digest(hash=found.hash, size_bytes=found.size_bytes)
            if not blobs:
                return values
            contents = self._contents(agreement).get(list(blobs.values()))
            for key, digest in blobs.items():
                value = contents.get(digest.hash)
                if value is None:
                    continue
                if agreement.hashing.digest(value) != digest:
                    raise CorruptEntryError(
                        key, f"the blob {digest.hash} has {len(value)} bytes that are not its own"
                    )
                values[key] = value
            return values

    def contains(self, key: str) -> bool:
        """Whether there is a result for `key`."""
        with self._typed_errors():
            return self._results(self._agreement(), [key], inline=False) != [None]

    def put(self, values: Mapping[str, memoryview]) -> None:
        """Keep each value as the result for its key: contents first, then what points to them."""
        with self._typed_errors():
            agreement = self._agreement()
            if not agreement.may_update:
                raise BackendReadOnlyError(
                    f"the remote cache at {self._channel.place} takes no results from clients; "
                    "let it allow UpdateActionResult, or use it read-only"
                )
            results: dict[str, ActionResult] = {}
            blobs: list[tuple[Digest, memoryview]] = []
            for key, data in values.items():
                if 0 < len(data) <= INLINE_MAX_BYTES:
                    results[key] = inline_result(data)
                else:
                    digest = agreement.hashing.digest(data)
                    blobs.append((digest, data))
                    results[key] = pointing_result(digest.hash, digest.size_bytes)
            self._contents(agreement).put(blobs)
            requests = [
                UpdateActionResultRequest(
                    instance_name=self._instance_name,
                    action_digest=_action_digest(agreement, key),
                    action_result=result,
                    digest_function=agreement.hashing.number,
                )
                for key, result in results.items()
            ]
            method = f"{_ACTION_CACHE}/UpdateActionResult"
            if len(requests) == 1:
                self._channel.unary(method, requests[0], ActionResult)
                return
            size_bytes = sum(len(result.stdout_raw) for result in results.values())
            answers = self._channel.unary_many(
                method, requests, ActionResult, size_bytes=size_bytes
            )
            if None in answers:
                raise BackendReadOnlyError(
                    f"the remote cache at {self._channel.place} does not know the instance "
                    f"{self._instance_name!r}, or what an entry points to; name another instance"
                )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _results(
        self, agreement: Agreement, keys: Sequence[str], *, inline: bool
    ) -> list[ActionResult | None]:
        requests = [
            GetActionResultRequest(
                instance_name=self._instance_name,
                action_digest=_action_digest(agreement, key),
                inline_stdout=inline,
                digest_function=agreement.hashing.number,
            )
            for key in keys
        ]
        method = f"{_ACTION_CACHE}/GetActionResult"
        if len(requests) != 1:
            size_bytes = len(requests) * INLINE_MAX_BYTES if inline else 0
            return self._channel.unary_many(method, requests, ActionResult, size_bytes=size_bytes)
        try:
            return [self._channel.unary(method, requests[0], ActionResult)]
        except grpc.RpcError as error:
            if status_of(error)[0] is grpc.StatusCode.NOT_FOUND:
                return [None]
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
