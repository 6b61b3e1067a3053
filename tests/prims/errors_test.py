import pickle

import pytest
import torch

from torchstash.prims import errors

ERRORS = [
    (errors.GeometryError("x", [2], [], "1 sizes, 0 strides"), ("'x'", "[2]", "[]", "1 sizes")),
    (errors.SizeMismatchError("x", [2], [3]), ("'x'", "size [2]", "found [3]", "metadata")),
    (errors.StrideMismatchError("x", [2], [3]), ("'x'", "stride [2]", "found [3]", "metadata")),
    (errors.DeviceMismatchError("x", torch.device("cpu"), "meta"), ("'x'", "cpu", "meta")),
    (
        errors.ConversionError("x", torch.bits8, torch.float32),
        ("'x'", "torch.bits8", "found torch.float32", "convert the result"),
    ),
    (errors.UnsupportedDtypeError("x", torch.quint8), ("'x'", "torch.quint8", "reader")),
]


@pytest.mark.parametrize(("error", "parts"), ERRORS, ids=lambda value: type(value).__name__)
def test_a_message_says_what_was_asked_and_found_and_what_to_do(
    error: errors.PrimsError, parts: tuple[str, ...]
) -> None:
    for part in parts:
        assert part in str(error)


@pytest.mark.parametrize(("error", "parts"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_crosses_to_another_process(
    error: errors.PrimsError, parts: tuple[str, ...]
) -> None:
    del parts
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
