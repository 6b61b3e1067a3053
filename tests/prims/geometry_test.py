import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstash.prims import GeometryError, PrimsError
from torchstash.prims.geometry import check_geometry, span_elements

SIZES_AND_STRIDES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), max_size=4).map(
    lambda pairs: tuple(zip(*pairs, strict=True)) or ((), ())
)


@given(SIZES_AND_STRIDES)
def test_the_span_is_the_least_storage_that_pytorch_accepts(
    geometry: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    size, stride = geometry
    check_geometry("x", size, stride)
    span = span_elements(size, stride)
    assert torch.empty_strided(size, stride).untyped_storage().nbytes() == 4 * span
    torch.empty(span).as_strided(size, stride)


@pytest.mark.parametrize(
    ("size", "stride", "reason"),
    [
        ([2, 3], [1], "2 sizes, 1 strides"),
        ([], [1], "0 sizes, 1 strides"),
        ([2, -3], [3, 1], "a negative size"),
        ([2, 3], [-3, 1], "a negative stride"),
        ([0, -1], [1, 1], "a negative size"),
    ],
)
def test_what_describes_no_tensor_is_refused_by_name(
    size: list[int], stride: list[int], reason: str
) -> None:
    with pytest.raises(GeometryError, match=reason) as caught:
        check_geometry("layer.weight", size, stride)
    assert "'layer.weight'" in str(caught.value)
    assert str(size) in str(caught.value)
    assert str(stride) in str(caught.value)
    assert isinstance(caught.value, PrimsError)
    assert isinstance(caught.value, ValueError)
