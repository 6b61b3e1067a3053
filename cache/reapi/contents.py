"""Blobs in the content-addressable storage: small ones in batches, large ones by stream."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import grpc

from torchstash.cache.buffers import BytesToFill, whole_bytes
from torchstash.cache.errors import BackendError, BackendFullError, BackendProtocolError
from torchstash.cache.reapi.agreement import Agreement
from torchstash.cache.reapi.channel import Channel
from torchstash.cache.reapi.status_errors import status_of
from torchstash.proto.reapi.v2 import content_addressable_storage_pb2 as cas_pb2
from torchstash.proto.reapi.v2.byte_stream_pb2 import (
    ReadRequest,
    ReadResponse,
    WriteRequest,
    WriteResponse,
)
from torchstash.proto.reapi.v2.digest_pb2 import Digest
from torchstash.proto.reapi.v2.status_pb2 import Status

T = TypeVar("T")

_CAS = "/build.bazel.remote.execution.v2.ContentAddressableStorage"
_READ = "/google.bytestream.ByteStream/Read"
_WRITE = "/google.bytestream.ByteStream/Write"
_CHUNK_BYTES = 1 << 20
# Of one batch: the message has room beside the blobs for so many digests.
_BATCH_BLOBS = 256
_OK = grpc.StatusCode.OK.value[0]
_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
_RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


class Contents:
    """The storage of one instance. Thread-safe.

    Raises (from every method):
        BackendError: The server refused a part of a batch.
        grpc.RpcError: A call failed.
    """

    def __init__(self, channel: Channel, instance_name: str, agreement: Agreement) -> None:
        self._channel = channel
        self._instance_name = instance_name
        self._agreement = agreement

    def get(self, digests: Sequence[Digest]) -> dict[str, bytes]:
        """The bytes of those blobs that the server has, by hash; not checked."""
        wanted = list({digest.hash: digest for digest in digests}.values())
        batches, large = self._batches(wanted, lambda digest: digest)
        found: dict[str, bytes] = {}
        for batch in batches:
            found |= self._get_batch(batch)
        for digest in large:
            value = self._get_stream(digest)
            if value is not None:
                found[digest.hash] = value
        return found

    def put(self, blobs: Sequence[tuple[Digest, memoryview]]) -> None:
        """Keep blobs, unless the server has them."""
        # The API says that every server has the empty blob.
        wanted = list({digest.hash: (digest, data) for digest, data in blobs if data}.values())
        batches, large = self._batches(wanted, lambda blob: blob[0])
        for batch in batches:
            self._put_batch(batch)
        missing = self._missing([digest for digest, _ in large])
        for digest, data in large:
            if digest.hash in missing:
                self._put_stream(digest, data)

    def _batches(
        self, blobs: Sequence[T], digest_of: Callable[[T], Digest]
    ) -> tuple[list[list[T]], list[T]]:
        """What goes together, and what is too large to."""
        limit = self._agreement.batch_max_bytes
        batches: list[list[T]] = []
        large: list[T] = []
        size_bytes = 0
        for blob in blobs:
            added = digest_of(blob).size_bytes
            if added > limit:
                large.append(blob)
                continue
            if not batches or size_bytes + added > limit or len(batches[-1]) >= _BATCH_BLOBS:
                batches.append([])
                size_bytes = 0
            batches[-1].append(blob)
            size_bytes += added
        return batches, large

    def _get_batch(self, digests: Sequence[Digest]) -> dict[str, bytes]:
        answer = self._channel.unary(
            f"{_CAS}/BatchReadBlobs",
            cas_pb2.BatchReadBlobsRequest(
                instance_name=self._instance_name,
                digests=digests,
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.BatchReadBlobsResponse,
            size_bytes=sum(digest.size_bytes for digest in digests),
        )
        statuses = {one.digest.hash: one.status for one in answer.responses}
        self._check(digests, statuses, allowed=(_OK, _NOT_FOUND))
        return {one.digest.hash: one.data for one in answer.responses if one.status.code == _OK}

    def _put_batch(self, blobs: Sequence[tuple[Digest, memoryview]]) -> None:
        answer = self._channel.unary(
            f"{_CAS}/BatchUpdateBlobs",
            cas_pb2.BatchUpdateBlobsRequest(
                instance_name=self._instance_name,
                requests=[
                    cas_pb2.BatchUpdateBlobsRequest.Request(digest=digest, data=whole_bytes(data))
                    for digest, data in blobs
                ],
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.BatchUpdateBlobsResponse,
            size_bytes=sum(digest.size_bytes for digest, _ in blobs),
        )
        statuses = {one.digest.hash: one.status for one in answer.responses}
        self._check([digest for digest, _ in blobs], statuses, allowed=(_OK,))

    def _check(
        self, digests: Sequence[Digest], statuses: Mapping[str, Status], allowed: tuple[int, ...]
    ) -> None:
        for digest in digests:
            status = statuses.get(digest.hash)
            if status is None:
                raise self._strange(f"{len(statuses)} blobs instead of {len(digests)}")
            if status.code not in allowed:
                kind = BackendFullError if status.code == _RESOURCE_EXHAUSTED else BackendError
                raise kind(
                    f"the remote cache at {self._channel.place} refused the blob {digest.hash} "
                    f"with the status {status.code} ({status.message}); see the server's own log"
                )

    def _missing(self, digests: Sequence[Digest]) -> set[str]:
        if not digests:
            return set()
        answer = self._channel.unary(
            f"{_CAS}/FindMissingBlobs",
            cas_pb2.FindMissingBlobsRequest(
                instance_name=self._instance_name,
                blob_digests=digests,
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.FindMissingBlobsResponse,
        )
        return {digest.hash for digest in answer.missing_blob_digests}

    def _get_stream(self, digest: Digest) -> bytes | None:
        request = ReadRequest(resource_name=self._resource_name(digest))

        def join(pieces: Iterator[ReadResponse]) -> bytes:
            filled = BytesToFill(digest.size_bytes)
            received_bytes = 0
            for piece in pieces:
                data = piece.data
                end = received_bytes + len(data)
                if end <= digest.size_bytes:
                    filled.view[received_bytes:end] = data
                received_bytes = end
            if received_bytes != digest.size_bytes:
                raise self._strange(
                    f"{received_bytes} bytes of a blob of {digest.size_bytes} bytes"
                )
            return filled.finish()

        try:
            return self._channel.read(
                _READ, request, ReadResponse, join, size_bytes=digest.size_bytes
            )
        except grpc.RpcError as error:
            if status_of(error)[0] is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def _put_stream(self, digest: Digest, data: memoryview) -> None:
        def requests() -> Iterator[WriteRequest]:
            name = self._resource_name(digest, upload=True)
            for start in range(0, len(data), _CHUNK_BYTES):
                yield WriteRequest(
                    resource_name=name if start == 0 else "",
                    write_offset=start,
                    finish_write=start + _CHUNK_BYTES >= len(data),
                    data=bytes(data[start : start + _CHUNK_BYTES]),
                )

        answer = self._channel.write(
            _WRITE, WriteRequest, requests, WriteResponse, size_bytes=len(data)
        )
        if answer.committed_size != len(data):
            raise self._strange(f"{answer.committed_size} of {len(data)} bytes kept")

    def _resource_name(self, digest: Digest, *, upload: bool = False) -> str:
        instance = f"{self._instance_name}/" if self._instance_name else ""
        way = f"uploads/{uuid.uuid4()}/" if upload else ""
        segment = self._agreement.hashing.segment
        return f"{instance}{way}blobs/{segment}{digest.hash}/{digest.size_bytes}"

    def _strange(self, found: str) -> BackendProtocolError:
        return BackendProtocolError(
            f"the remote cache at {self._channel.place} answered {found}; "
            "is it a server of the Remote Execution API?"
        )
