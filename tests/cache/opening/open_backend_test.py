from pathlib import Path

import pytest

from torchstash.cache import (
    BackendLibraryError,
    BackendSettingsError,
    DiskBackend,
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
    from_env,
    open_backend,
)
from torchstash.cache.opening import SCHEMES, Scheme
from torchstash.cache.wrappers import Forgiving, Tiers
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.opening.failing_from_url import FailingBackend

_REMOTE = {
    **SCHEMES,
    "failing": Scheme(
        "torchstash.tests.cache.opening.failing_from_url", "//tests", "failing://host", True
    ),
}
_PATIENT = "timeout=60s&connect_timeout=60s&breaker_lost=1000s"


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


def test_local_tiers(tmp_path: Path) -> None:
    backend = open_backend(f"memory:|file://{tmp_path}/middle|file://{tmp_path}/far")
    assert isinstance(backend, Tiers)
    assert [name for name, _ in backend.tiers] == ["near", "middle", "far"]
    with backend:
        backend.put("key", b"x")
        assert all(tier.get("key") == b"x" for _, tier in backend.tiers)


def test_faults_of_a_remote_engine_are_misses() -> None:
    backend = open_backend(f"failing://user:pw@host?error=timeout&{_PATIENT}", schemes=_REMOTE)
    assert isinstance(backend, Forgiving)
    sink = MemorySink()
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    cache.put("key", b"x")
    for _ in range(3):
        assert cache.get("key") is None
    outcomes = [sample.outcome for sample in sink.samples]
    assert outcomes == [pb.OUTCOME_TIMED_OUT] * 3 + [pb.OUTCOME_SKIPPED]
    assert sink.samples[3].attributes["breaker"] == "open"
    assert {sample.backend_name for sample in sink.samples} == {"memory"}


def test_values_of_a_remote_engine_are_in_envelopes() -> None:
    backend = open_backend(f"memory: | failing://host?{_PATIENT}", schemes=_REMOTE)
    backend.put("key", bytes(5000))
    engine = FailingBackend.opened[-1]
    kept = engine.get("key")
    assert kept is not None
    assert kept.startswith(b"\x8aTSE")
    assert len(kept) < 200
    # What another writer has put there is a miss.
    fresh = open_backend(f"failing://host?{_PATIENT}&read_only=true", schemes=_REMOTE)
    FailingBackend.opened[-1].put("key", b"poison")
    assert fresh.get("key") is None
    fresh.put("other", b"x")
    assert FailingBackend.opened[-1].get("other") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("failing://h?error=timeouts", "error is one of timeout, none"),
        ("failing://h?errors=timeout", "did you mean error"),
        ("failing://h?breaker_failures=0", "limit of zero"),
        ("failing://h?timeout=0s", "time limit of zero"),
        ("failing://h?envelope=false&namespace=x", "options of envelopes"),
        ("failing://h?signing_keys_file=/absent/keys", "/absent/keys"),
        ("memory:?timeout=1s", "unknown option 'timeout'"),
        ("memory:|", "no scheme"),
    ],
)
def test_wrong_options_of_what_is_around_an_engine(text: str, said: str) -> None:
    opened = len(FailingBackend.opened)
    with pytest.raises(BackendSettingsError, match=said):
        open_backend(text, schemes=_REMOTE)
    assert len(FailingBackend.opened) == opened


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stash", "no scheme"),
        ("files:///x", "did you mean file"),
        ("ftp://x", r"There are: .*file:///var"),
        ("memory://x", "memory has none"),
        ("memory:?durable=true", "There are: .*, max_bytes"),
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
