"""What a server and we agree on: the version, the digest function, the size of batches."""

from dataclasses import dataclass

import grpc

from torchstash.cache.errors import BackendProtocolError
from torchstash.cache.reapi.channel import Channel
from torchstash.cache.reapi.digest_functions import SHA256, Hashing, choose
from torchstash.cache.reapi.status_errors import status_of
from torchstash.proto.reapi.v2.capabilities_pb2 import GetCapabilitiesRequest, ServerCapabilities

_GET_CAPABILITIES = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities"
_MAJOR = 2
# Messages of gRPC have at most 4 MiB by default; this leaves room for all but the blob.
_BATCH_MAX_BYTES = (4 << 20) - (64 << 10)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Holds as long as the backend.

    Attributes:
        hashing: Of keys and contents.
        batch_max_bytes: Larger blobs are streamed.
        may_update: Whether the server takes results from clients.
    """

    hashing: Hashing
    batch_max_bytes: int
    may_update: bool


def agree(channel: Channel, instance_name: str) -> Agreement:
    """Ask a server what it can do, and choose.

    Raises:
        BackendProtocolError: There is nothing that both can do.
        grpc.RpcError: The call failed.
    """
    request = GetCapabilitiesRequest(instance_name=instance_name)
    try:
        server = channel.unary(_GET_CAPABILITIES, request, ServerCapabilities)
    except grpc.RpcError as error:
        if status_of(error)[0] is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        # The first servers could not be asked. They all had this.
        return Agreement(SHA256, _BATCH_MAX_BYTES, may_update=True)
    low, high = server.low_api_version.major, server.high_api_version.major
    if high and not low <= _MAJOR <= high:
        raise BackendProtocolError(
            f"the remote cache at {channel.place} speaks versions {low} to {high} of the Remote "
            f"Execution API, and we speak {_MAJOR}; name another server"
        )
    if not server.HasField("cache_capabilities"):
        raise BackendProtocolError(
            f"the server at {channel.place} keeps no cache (for the instance "
            f"{instance_name!r}); name another server or instance"
        )
    cache = server.cache_capabilities
    hashing = choose(cache.digest_functions)
    if hashing is None:
        raise BackendProtocolError(
            f"the remote cache at {channel.place} takes the digest functions "
            f"{list(cache.digest_functions)} only, and we know SHA-256, SHA-384, SHA-512 and "
            "BLAKE3; let it offer one of these"
        )
    limit = cache.max_batch_total_size_bytes
    return Agreement(
        hashing,
        min(limit, _BATCH_MAX_BYTES) if limit > 0 else _BATCH_MAX_BYTES,
        may_update=cache.action_cache_update_capabilities.update_enabled,
    )
