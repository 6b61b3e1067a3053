"""Values as results of actions, which is what Bazel's remote caches keep.

A value is the standard output of an action that does not exist. Servers that check what they are
given (bazel-remote, BuildGrid, buildbox-casd) find a result that is well formed and whose parts
are there.
"""

import re
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from torchstash.cache.buffers import whole_bytes
from torchstash.cache.errors import CorruptEntryError
from torchstash.proto.reapi.v2.action_result_pb2 import ActionResult
from torchstash.proto.reapi.v2.digest_pb2 import Digest

# Larger values lie beside their result: servers take results for small, and keep them in memory.
INLINE_MAX_BYTES = 64 << 10

_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class FoundResult:
    """A value (`value`), or where it is (`hash`, `size_bytes`)."""

    value: bytes | None
    hash: str
    size_bytes: int


def inline_result(data: memoryview) -> ActionResult:
    """The result that holds a value, which is not empty: an empty one would say nothing."""
    return ActionResult(stdout_raw=whole_bytes(data))


def pointing_result(digest: str, size_bytes: int) -> ActionResult:
    """The result that points to a value."""
    return ActionResult(stdout_digest=Digest(hash=digest, size_bytes=size_bytes))


def parse_result(key: str, encoded: bytes) -> FoundResult:
    """The value in the encoded result of `key`, or where it is.

    Raises:
        CorruptEntryError: It is no result of ours.
    """
    try:
        result = ActionResult.FromString(encoded)
    except DecodeError as error:
        raise CorruptEntryError(key, f"its ActionResult cannot be decoded ({error})") from error
    return found_result(key, result)


def found_result(key: str, result: ActionResult) -> FoundResult:
    """As `parse_result`, of a result that is decoded."""
    digest = result.stdout_digest
    if result.stdout_raw:
        # Servers may add the digest, and may move what was inline away.
        return FoundResult(result.stdout_raw, digest.hash, len(result.stdout_raw))
    if not result.HasField("stdout_digest") or not _HASH.fullmatch(digest.hash):
        raise CorruptEntryError(key, "its ActionResult has no standard output")
    if digest.size_bytes == 0:
        return FoundResult(b"", digest.hash, 0)
    return FoundResult(None, digest.hash, digest.size_bytes)
