"""Blobs in the content-addressable storage: small ones in a batch, large ones by stream."""

import uuid

import grpc

from torchstash.cache.errors import BackendError, BackendProtocolError
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

_CAS = "/build.bazel.remote.execution.v2.ContentAddressableStorage"
_READ = "/google.bytestream.ByteStream/Read"
_WRITE = "/google.bytestream.ByteStream/Write"
_CHUNK_BYTES = 1 << 20
_OK = 0
_NOT_FOUND = 5


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

    def get(self, digest: Digest) -> bytes | None:
        """The bytes of a blob, not checked; None: the server does not have it."""
        if digest.size_bytes <= self._agreement.batch_max_bytes:
            return self._get_batch(digest)
        request = ReadRequest(resource_name=self._resource_name(digest))
        try:
            pieces = self._channel.read(_READ, request, ReadResponse, size_bytes=digest.size_bytes)
        except grpc.RpcError as error:
            if status_of(error)[0] is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return b"".join(piece.data for piece in pieces)

    def put(self, digest: Digest, data: memoryview) -> None:
        """Keep a blob, unless the server has it."""
        if len(data) == 0:
            # The API says that every server has the empty blob.
            return
        if len(data) <= self._agreement.batch_max_bytes:
            self._put_batch(digest, data)
        elif self._is_missing(digest):
            self._put_stream(digest, data)

    def _get_batch(self, digest: Digest) -> bytes | None:
        answer = self._channel.unary(
            f"{_CAS}/BatchReadBlobs",
            cas_pb2.BatchReadBlobsRequest(
                instance_name=self._instance_name,
                digests=[digest],
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.BatchReadBlobsResponse,
            size_bytes=digest.size_bytes,
        )
        if len(answer.responses) != 1:
            raise self._strange(f"{len(answer.responses)} blobs instead of one")
        found = answer.responses[0]
        if found.status.code == _NOT_FOUND:
            return None
        if found.status.code != _OK:
            raise self._refused(digest, found.status.code, found.status.message)
        return found.data

    def _put_batch(self, digest: Digest, data: memoryview) -> None:
        one = cas_pb2.BatchUpdateBlobsRequest.Request(digest=digest, data=bytes(data))
        answer = self._channel.unary(
            f"{_CAS}/BatchUpdateBlobs",
            cas_pb2.BatchUpdateBlobsRequest(
                instance_name=self._instance_name,
                requests=[one],
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.BatchUpdateBlobsResponse,
            size_bytes=len(data),
        )
        for response in answer.responses:
            if response.status.code != _OK:
                raise self._refused(digest, response.status.code, response.status.message)

    def _is_missing(self, digest: Digest) -> bool:
        answer = self._channel.unary(
            f"{_CAS}/FindMissingBlobs",
            cas_pb2.FindMissingBlobsRequest(
                instance_name=self._instance_name,
                blob_digests=[digest],
                digest_function=self._agreement.hashing.number,
            ),
            cas_pb2.FindMissingBlobsResponse,
        )
        return bool(answer.missing_blob_digests)

    def _put_stream(self, digest: Digest, data: memoryview) -> None:
        def requests() -> list[WriteRequest]:
            name = self._resource_name(digest, upload=True)
            return [
                WriteRequest(
                    resource_name=name if start == 0 else "",
                    write_offset=start,
                    finish_write=start + _CHUNK_BYTES >= len(data),
                    data=bytes(data[start : start + _CHUNK_BYTES]),
                )
                for start in range(0, len(data), _CHUNK_BYTES)
            ]

        answer = self._channel.write(_WRITE, requests, WriteResponse, size_bytes=len(data))
        if answer.committed_size != len(data):
            raise self._strange(f"{answer.committed_size} of {len(data)} bytes kept")

    def _resource_name(self, digest: Digest, *, upload: bool = False) -> str:
        instance = f"{self._instance_name}/" if self._instance_name else ""
        way = f"uploads/{uuid.uuid4()}/" if upload else ""
        segment = self._agreement.hashing.segment
        return f"{instance}{way}blobs/{segment}{digest.hash}/{digest.size_bytes}"

    def _refused(self, digest: Digest, code: int, message: str) -> BackendError:
        return BackendError(
            f"the remote cache at {self._channel.place} refused the blob {digest.hash} with the "
            f"status {code} ({message}); see the server's own log"
        )

    def _strange(self, found: str) -> BackendProtocolError:
        return BackendProtocolError(
            f"the remote cache at {self._channel.place} answered {found}; "
            "is it a server of the Remote Execution API?"
        )
