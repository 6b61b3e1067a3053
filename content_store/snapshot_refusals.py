"""What a snapshot cannot hold, named by where it was found."""

from torchstash.content_store.errors import UnsupportedValueError

_REMEDY = (
    "a snapshot holds tensors, None, bool, int, float, str, bytes, list, tuple, dict, OrderedDict, "
    "torch.Size, torch.dtype and torch.device"
)


def refused_type(value: object, path: str) -> UnsupportedValueError:
    """The error for a value of a type that is not among those that a snapshot holds."""
    kind = type(value)
    return UnsupportedValueError(
        f"{path or 'the state dict'} is a {kind.__module__}.{kind.__qualname__}, which a snapshot "
        f"cannot hold exactly; {_REMEDY}"
    )


def refused(problem: str, path: str) -> UnsupportedValueError:
    """The error for a value whose type is right and which cannot be held all the same."""
    return UnsupportedValueError(f"{path or 'the state dict'} {problem}")
