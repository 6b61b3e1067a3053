"""Trees of containers as tensors by name, for formats that know nothing else."""

from collections.abc import Mapping, Sequence

import torch

from torchstash.content_store.errors import UnsupportedValueError


def flatten(tree: object) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The tensors of a tree, and the places of what is none, both by names such as `model.0.bias`.

    Keys and indices are joined with dots. Empty containers are nowhere.

    Raises:
        UnsupportedValueError: Two tensors would have one name, or a key is neither text nor number.
    """
    tensors: dict[str, torch.Tensor] = {}
    others: list[str] = []
    waiting: list[tuple[str, object]] = [("", tree)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            if path in tensors:
                raise UnsupportedValueError(
                    f"two tensors would be named {path!r}; name one of the parts they lie in"
                )
            tensors[path] = value
        elif isinstance(value, Mapping):
            pairs = [(_joined(path, key), each) for key, each in value.items()]
            waiting.extend(reversed(pairs))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes | torch.Size):
            pairs = [(_joined(path, i), each) for i, each in enumerate(value)]
            waiting.extend(reversed(pairs))
        else:
            others.append(path)
    return tensors, others


def _joined(path: str, key: object) -> str:
    if not isinstance(key, str | int):
        raise UnsupportedValueError(
            f"at {path or 'the top'}, the key {key!r} is neither text nor an integer, so that what "
            "lies there has no name"
        )
    return f"{path}.{key}" if path else str(key)


def tensors_alone(tree: object, what: str, *, tensors_only: bool) -> dict[str, torch.Tensor]:
    """`flatten`, where anything else is refused unless `tensors_only` says to leave it out.

    Raises:
        UnsupportedValueError: Something is no tensor; says where.
    """
    tensors, others = flatten(tree)
    if others and not tensors_only:
        shown = ", ".join(repr(path) for path in others[:3]) + (", ..." if others[3:] else "")
        raise UnsupportedValueError(
            f"{what} holds {len(others)} values that are no tensors (at {shown}); ask for the "
            "tensors only, to leave them out"
        )
    return tensors
