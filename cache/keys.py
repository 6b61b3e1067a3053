"""Keys: any text that UTF-8 can encode. A key is never a path."""

from torchstash.cache.errors import InvalidKeyError


def encode_key(key: str) -> bytes:
    """The UTF-8 bytes by which engines keep and order keys.

    Raises:
        InvalidKeyError: The text holds lone surrogates.
        TypeError: `key` is no text.
    """
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError(
            f"the key {key!r} holds a lone surrogate at {error.start}, which UTF-8 cannot encode; "
            "encode what it stands for (a file name, say) some other way"
        ) from None
    except AttributeError:
        raise TypeError(f"a key must be a str, not {type(key).__name__}") from None
