"""Keys as names that every object store, gateway and web server takes.

Stores differ in what a name may be: S3 takes 1024 bytes, MinIO 255 between two slashes, most
clients no empty or dot segment, and a gateway over a file system no object inside another. So a
name is flat and short, of letters, digits and `-_.!`:

    k-<the key, each other byte as `!` and two upper-case hexadecimal digits>
    h-<BLAKE3 digest of the key, in hexadecimal>          where the first would be too long

An object named by digest has its key in its metadata, encoded in the same way.
"""

import re

from torchstash.cache.digest import Digest
from torchstash.cache.errors import BackendFormatError
from torchstash.cache.keys import encode_key

# User metadata of an object. Azure takes only what would be an identifier in C#.
KEY_ATTRIBUTE = "torchstash_key"
_MAX_NAME_CHARACTERS = 200
_ESCAPED = re.compile(rb"[^A-Za-z0-9_.-]")
_ENCODED = re.compile(r"(?:[A-Za-z0-9_.-]|![0-9A-F]{2})*")


def flat_name(key: str) -> str:
    """The name of the object of `key`.

    Raises:
        InvalidKeyError: UTF-8 cannot encode the key.
    """
    name = f"k-{encoded_key(key)}"
    if len(name) <= _MAX_NAME_CHARACTERS:
        return name
    return f"h-{Digest.of(encode_key(key)).hex}"


def is_named_by_digest(name: str) -> bool:
    """Whether the key of an object is in its metadata, not in its name."""
    return name.startswith("h-")


def encoded_key(key: str) -> str:
    """A key in the characters that names may have."""
    return _ESCAPED.sub(lambda found: b"!%02X" % found[0][0], encode_key(key)).decode()


def key_of_name(name: str) -> str | None:
    """The key whose object has this name. None: no key of ours has, or its metadata tells."""
    return decoded_key(name[2:]) if name.startswith("k-") else None


def decoded_key(encoded: str) -> str | None:
    """The inverse of `encoded_key`. None: nothing is encoded so."""
    if not _ENCODED.fullmatch(encoded):
        return None
    raw = re.sub(rb"!(..)", lambda found: bytes([int(found[1], 16)]), encoded.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def key_of_metadata(name: str, attributes: dict[str, str]) -> str:
    """The key of an object that is named by digest.

    Raises:
        BackendFormatError: Its metadata does not tell: another program made it, or changed it.
    """
    encoded = attributes.get(KEY_ATTRIBUTE)
    key = None if encoded is None else decoded_key(encoded)
    if key is None or flat_name(key) != name:
        raise BackendFormatError(
            f"the metadata {KEY_ATTRIBUTE}={encoded!r} of the object {name!r} is not its key; "
            "was it copied without its metadata? Delete it, or give this cache a prefix of its own"
        )
    return key
