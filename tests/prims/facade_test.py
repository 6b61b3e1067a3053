import torchstash.prims
from torchstash.prims import errors


def test_every_public_name_resolves_and_is_listed_once() -> None:
    names = torchstash.prims.__all__
    assert sorted(set(names)) == sorted(names)
    assert all(getattr(torchstash.prims, name) is not None for name in names)


def test_every_error_is_public_and_drawn() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined <= set(torchstash.prims.__all__)
    for name in defined:
        assert name in (errors.__doc__ or "")
        assert issubclass(getattr(errors, name), errors.PrimsError)
