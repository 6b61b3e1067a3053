"""A small server of the Remote Execution API which holds its clients to the letter of it.

It checks every digest, refuses results whose contents it does not have, and does not give out
results whose contents it has no more. It offers what its arguments say.
"""

import argparse
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import blake3
import grpc

from torchstash.proto.reapi.v2 import content_addressable_storage_pb2 as cas_pb2
from torchstash.proto.reapi.v2.action_cache_pb2 import (
    GetActionResultRequest,
    UpdateActionResultRequest,
)
from torchstash.proto.reapi.v2.action_result_pb2 import ActionResult
from torchstash.proto.reapi.v2.byte_stream_pb2 import (
    ReadRequest,
    ReadResponse,
    WriteRequest,
    WriteResponse,
)
from torchstash.proto.reapi.v2.capabilities_pb2 import (
    ActionCacheUpdateCapabilities,
    CacheCapabilities,
    GetCapabilitiesRequest,
    SemVer,
    ServerCapabilities,
)
from torchstash.proto.reapi.v2.digest_pb2 import (
    DIGEST_FUNCTION_BLAKE3,
    DIGEST_FUNCTION_SHA256,
    DIGEST_FUNCTION_SHA512,
    Digest,
)
from torchstash.proto.reapi.v2.status_pb2 import Status

_HASHERS: dict[int, Callable[[bytes], str]] = {
    DIGEST_FUNCTION_BLAKE3: lambda data: blake3.blake3(data).hexdigest(),
    DIGEST_FUNCTION_SHA256: lambda data: hashlib.sha256(data).hexdigest(),
    DIGEST_FUNCTION_SHA512: lambda data: hashlib.sha512(data).hexdigest(),
}
_OK, _INVALID_ARGUMENT, _NOT_FOUND, _RESOURCE_EXHAUSTED = 0, 3, 5, 8


class Server:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._blobs: dict[tuple[int, str], bytes] = {
            (function, hasher(b"")): b"" for function, hasher in _HASHERS.items()
        }
        self._results: dict[tuple[str, int, str], ActionResult] = {}

    def capabilities(
        self, request: GetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> ServerCapabilities:
        if self._options.major == 1:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "an old server")
        return ServerCapabilities(
            cache_capabilities=CacheCapabilities(
                digest_functions=self._options.function,
                action_cache_update_capabilities=ActionCacheUpdateCapabilities(
                    update_enabled=not self._options.read_only
                ),
                max_batch_total_size_bytes=self._options.batch_max_bytes,
            ),
            low_api_version=SemVer(major=self._options.major),
            high_api_version=SemVer(major=self._options.major, minor=3),
        )

    def get_result(
        self, request: GetActionResultRequest, context: grpc.ServicerContext
    ) -> ActionResult:
        function = self._function(request, context)
        action = (request.instance_name, function, request.action_digest.hash)
        result = self._results.get(action)
        if result is None or not self._has_content(function, result):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such result")
        assert result is not None
        return result

    def update_result(
        self, request: UpdateActionResultRequest, context: grpc.ServicerContext
    ) -> ActionResult:
        function = self._function(request, context)
        if self._options.read_only:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "read-only")
        if not self._has_content(function, request.action_result):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "its content is not here")
        action = (request.instance_name, function, request.action_digest.hash)
        self._results[action] = request.action_result
        return request.action_result

    def find_missing(
        self, request: cas_pb2.FindMissingBlobsRequest, context: grpc.ServicerContext
    ) -> cas_pb2.FindMissingBlobsResponse:
        function = self._function(request, context)
        return cas_pb2.FindMissingBlobsResponse(
            missing_blob_digests=[
                digest
                for digest in request.blob_digests
                if (function, digest.hash) not in self._blobs
            ]
        )

    def batch_update(
        self, request: cas_pb2.BatchUpdateBlobsRequest, context: grpc.ServicerContext
    ) -> cas_pb2.BatchUpdateBlobsResponse:
        function = self._function(request, context)
        self._check_batch(sum(len(one.data) for one in request.requests), context)
        return cas_pb2.BatchUpdateBlobsResponse(
            responses=[
                cas_pb2.BatchUpdateBlobsResponse.Response(
                    digest=one.digest,
                    status=Status(code=self._keep(function, one.digest, one.data)),
                )
                for one in request.requests
            ]
        )

    def batch_read(
        self, request: cas_pb2.BatchReadBlobsRequest, context: grpc.ServicerContext
    ) -> cas_pb2.BatchReadBlobsResponse:
        function = self._function(request, context)
        self._check_batch(sum(digest.size_bytes for digest in request.digests), context)
        responses = []
        for digest in request.digests:
            data = self._blobs.get((function, digest.hash))
            code = _OK if data is not None else _NOT_FOUND
            response = cas_pb2.BatchReadBlobsResponse.Response(
                digest=digest, data=data or b"", status=Status(code=code)
            )
            responses.append(response)
        return cas_pb2.BatchReadBlobsResponse(responses=responses)

    def read(self, request: ReadRequest, context: grpc.ServicerContext) -> Iterator[ReadResponse]:
        function, digest = self._parse(request.resource_name, context)
        data = self._blobs.get((function, digest.hash))
        if data is None or len(data) != digest.size_bytes:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        assert data is not None
        for start in range(0, len(data), 64 << 10):
            yield ReadResponse(data=data[start : start + (64 << 10)])

    def write(
        self, requests: Iterable[WriteRequest], context: grpc.ServicerContext
    ) -> WriteResponse:
        name, received, is_finished = "", bytearray(), False
        for request in requests:
            if request.write_offset != len(received) or is_finished:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "out of order")
            name = name or request.resource_name
            received += request.data
            is_finished = request.finish_write
        data = bytes(received)
        head, _, rest = name.partition("uploads/")
        function, digest = self._parse(head + rest.partition("/")[2], context)
        if not is_finished or self._keep(function, digest, data) != _OK:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not what its name says")
        return WriteResponse(committed_size=len(data))

    def _function(self, request: Any, context: grpc.ServicerContext) -> int:
        wanted = f"Bearer {self._options.token}"
        metadata = dict(context.invocation_metadata())
        if self._options.token and metadata.get("authorization") != wanted:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")
        function = int(request.digest_function)
        if function not in self._options.function:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no digest function {function}")
        return function

    def _parse(self, name: str, context: grpc.ServicerContext) -> tuple[int, Digest]:
        parts = name.rpartition("blobs/")[2].split("/")
        function = DIGEST_FUNCTION_BLAKE3
        if parts[0] != "blake3":
            function = {64: DIGEST_FUNCTION_SHA256, 128: DIGEST_FUNCTION_SHA512}[len(parts[0])]
        if function not in self._options.function:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no digest function {function}")
        return function, Digest(hash=parts[-2], size_bytes=int(parts[-1]))

    def _check_batch(self, size_bytes: int, context: grpc.ServicerContext) -> None:
        limit = self._options.batch_max_bytes
        if limit and size_bytes > limit:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too large a batch")

    def _keep(self, function: int, digest: Digest, data: bytes) -> int:
        if _HASHERS[function](data) != digest.hash or len(data) != digest.size_bytes:
            return _INVALID_ARGUMENT
        limit = self._options.max_bytes
        if limit and sum(map(len, self._blobs.values())) + len(data) > limit:
            return _RESOURCE_EXHAUSTED
        self._blobs[function, digest.hash] = data
        return _OK

    def _has_content(self, function: int, result: ActionResult) -> bool:
        if not result.HasField("stdout_digest"):
            return True
        data = self._blobs.get((function, result.stdout_digest.hash))
        return data is not None and len(data) == result.stdout_digest.size_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--function", type=int, action="append", required=True)
    parser.add_argument("--major", type=int, default=2)
    parser.add_argument("--batch-max-bytes", type=int, default=0)
    parser.add_argument("--max-bytes", type=int, default=0)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--token")
    options = parser.parse_args()
    server = Server(options)
    api = "build.bazel.remote.execution.v2"
    unary = grpc.unary_unary_rpc_method_handler
    services: dict[str, dict[str, tuple[Any, Any, Any]]] = {
        f"{api}.Capabilities": {
            "GetCapabilities": (unary, server.capabilities, GetCapabilitiesRequest)
        },
        f"{api}.ActionCache": {
            "GetActionResult": (unary, server.get_result, GetActionResultRequest),
            "UpdateActionResult": (unary, server.update_result, UpdateActionResultRequest),
        },
        f"{api}.ContentAddressableStorage": {
            "FindMissingBlobs": (unary, server.find_missing, cas_pb2.FindMissingBlobsRequest),
            "BatchUpdateBlobs": (unary, server.batch_update, cas_pb2.BatchUpdateBlobsRequest),
            "BatchReadBlobs": (unary, server.batch_read, cas_pb2.BatchReadBlobsRequest),
        },
        "google.bytestream.ByteStream": {
            "Read": (grpc.unary_stream_rpc_method_handler, server.read, ReadRequest),
            "Write": (grpc.stream_unary_rpc_method_handler, server.write, WriteRequest),
        },
    }
    listening = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    for service, methods in services.items():
        handlers = {
            name: kind(
                method,
                request_deserializer=request.FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            for name, (kind, method, request) in methods.items()
        }
        handler = grpc.method_handlers_generic_handler(service, handlers)
        listening.add_generic_rpc_handlers((handler,))
    listening.add_insecure_port(f"127.0.0.1:{options.port}")
    listening.start()
    listening.wait_for_termination()


if __name__ == "__main__":
    main()
