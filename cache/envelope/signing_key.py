"""Keys that sign values, and the file that they come in."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torchstash.cache.errors import BackendSettingsError

# A key of fewer bits than HMAC-SHA256's security would weaken it (RFC 2104, section 3).
_MIN_SECRET_BYTES: Final = 32
_LINE: Final = re.compile(r"(\S+)\s+((?:[0-9a-fA-F]{2})+)")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that all who may write share, and its public name.

    Attributes:
        key_id: Stands in every value that it signs: 1 to 64 printable ASCII characters.
        secret: At least 32 bytes. Not in the repr.

    Raises:
        BackendSettingsError: One of them is not so.
    """

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!-~]{1,64}", self.key_id):
            raise BackendSettingsError(
                f"the id of a signing key is {self.key_id!r}; write 1 to 64 printable ASCII "
                "characters without spaces"
            )
        if len(self.secret) < _MIN_SECRET_BYTES:
            raise BackendSettingsError(
                f"the secret of the signing key {self.key_id!r} has {len(self.secret)} bytes; make "
                f"one of {_MIN_SECRET_BYTES} random bytes: openssl rand -hex {_MIN_SECRET_BYTES}"
            )


def read_signing_keys(path: str) -> tuple[SigningKey, ...]:
    """The keys of a text file, one a line: its id, white space, its secret in hexadecimal.

    The first signs; all of them are accepted. To rotate: add the new key as the last line
    everywhere, then make it the first everywhere, then remove the old one. Empty lines and those
    that begin with `#` are passed over.

    Raises:
        BackendSettingsError: The file cannot be read, has no key, or holds something else. The
            message repeats nothing of it.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackendSettingsError(
            f"the file of signing keys {path!r} cannot be read ({type(error).__name__}); "
            "name a text file that this user can read"
        ) from error
    keys: list[SigningKey] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or any(key.key_id == match[1] for key in keys):
            raise BackendSettingsError(
                f"line {number} of the file of signing keys {path!r} is no key, or has an id that "
                "stands there already; write an id, a space and the secret in hexadecimal digits"
            )
        keys.append(SigningKey(match[1], bytes.fromhex(match[2])))
    if not keys:
        raise BackendSettingsError(f"the file of signing keys {path!r} holds no key; add one")
    return tuple(keys)
