"""The public face of the layer."""

import torchstash.content_store as layer
from torchstash.content_store import errors


def test_every_public_name_is_there() -> None:
    assert layer.__all__ == sorted(layer.__all__)
    for name in layer.__all__:
        assert getattr(layer, name) is not None


def test_every_error_is_exported_and_has_the_one_base() -> None:
    raised = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {name for name in layer.__all__ if name.endswith("Error")} == set(raised)
    for name, error in raised.items():
        assert issubclass(error, layer.ContentStoreError)
        assert name in str(errors.__doc__)
