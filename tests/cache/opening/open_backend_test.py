from pathlib import Path

import pytest

from torchstash.cache import (
    BackendLibraryError,
    BackendSettingsError,
    DiskBackend,
    MemoryBackend,
    from_env,
    open_backend,
)
from torchstash.cache.opening import SCHEMES, Scheme


def test_memory() -> None:
    backend = open_backend("memory:?max_bytes=2KiB")
    assert isinstance(backend, MemoryBackend)
    backend.put("large", bytes(2049))
    backend.put("small", bytes(2048))
    assert backend.get("large") is None
    assert backend.get("small") == bytes(2048)


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    for text in (folder.as_uri(), f"file://localhost{folder.as_uri()[7:]}?durable=true"):
        backend = open_backend(f" {text} ")
        assert isinstance(backend, DiskBackend)
        assert backend.path == folder
        backend.close()


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = open_backend("file:stash/values")
    assert isinstance(backend, DiskBackend)
    assert backend.path == tmp_path / "stash" / "values"
    backend.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stash", "no scheme"),
        ("files:///x", "did you mean file"),
        ("ftp://x", r"There are: .*file:///var"),
        ("memory://x", "memory has none"),
        ("memory:?durable=true", "There are: max_bytes"),
        ("file:", "names no folder"),
        ("file://stash/x", "file:relative/folder"),
        ("file:///x?max_bytes=many", "a size such as"),
    ],
)
def test_wrong_urls_say_what_is_wrong_and_open_nothing(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendSettingsError, match=said):
        open_backend(text)
    assert list(tmp_path.iterdir()) == []


def test_every_scheme_has_an_example_of_its_own() -> None:
    for name, scheme in SCHEMES.items():
        assert scheme.example.startswith(f"{name}:")


def test_an_engine_that_is_not_part_of_the_program() -> None:
    schemes = {"x": Scheme("torchstash.cache.absent.from_url", "//cache/absent", "x:", False)}
    with pytest.raises(BackendLibraryError, match="@torchstash//cache/absent"):
        open_backend("x:", schemes=schemes)


def test_the_environment() -> None:
    assert from_env({}) is None
    assert from_env({"TORCHSTASH_CACHE_URL": " "}) is None
    assert isinstance(from_env({"TORCHSTASH_CACHE_URL": "memory:"}), MemoryBackend)


def test_the_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSTASH_CACHE_URL", "memory:")
    assert isinstance(from_env(), MemoryBackend)
