"""The interface of PyTorch's own module, which ours keeps: one set of tests for both.

Written against the documented behaviour. `TestOurs` holds what that module gets wrong.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch._inductor.remote_cache as torchs
from typing_extensions import override

import torchstash.cache as ours

both = pytest.mark.parametrize("module", [torchs, ours], ids=["torch", "torchstash"])


@dataclass
class Note:
    """A sample of the user's own type."""

    fail_reason: str | None = None


def _dictionary_backend(module: ModuleType) -> type[Any]:
    class DictionaryBackend(module.RemoteCacheBackend):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.values: dict[str, Any] = {}

        def _get(self, key: str) -> Any:
            return self.values.get(key)

        def _put(self, key: str, data: Any) -> None:
            self.values[key] = data

    return DictionaryBackend


def _failing_backend(module: ModuleType) -> type[Any]:
    class FailingBackend(module.RemoteCacheBackend):  # type: ignore[name-defined,misc]
        def _get(self, key: str) -> Any:
            raise AssertionError(f"get of {key}")

        def _put(self, key: str, data: Any) -> None:
            raise AssertionError(f"put of {key}")

    return FailingBackend


def _noting_cache(module: ModuleType) -> type[Any]:
    class NotingCache(module.RemoteCache):  # type: ignore[name-defined,misc]
        def __init__(self, backend: Any) -> None:
            super().__init__(backend, module.RemoteCachePassthroughSerde())
            self.notes: list[Note] = []

        def _create_sample(self) -> Note:
            return Note()

        def _log_sample(self, sample: Any) -> None:
            self.notes.append(sample)

    return NotingCache


@both
def test_exports_the_same_names(module: ModuleType) -> None:
    for name in (
        "JsonDataTy",
        "RemoteCache",
        "RemoteCacheBackend",
        "RemoteCacheJsonSerde",
        "RemoteCachePassthroughSerde",
        "RemoteCacheSerde",
        "Sample",
    ):
        assert hasattr(module, name)


@both
def test_keeps_values(module: ModuleType) -> None:
    cache = module.RemoteCache(_dictionary_backend(module)(), module.RemoteCachePassthroughSerde())
    assert cache.get("key") is None
    assert cache.put("key", "value") is None
    assert cache.get("key") == "value"


@both
def test_classes_are_generic(module: ModuleType) -> None:
    assert module.RemoteCacheBackend[bytes]
    assert module.RemoteCacheSerde[str, bytes]
    assert module.RemoteCachePassthroughSerde[bytes]
    assert module.RemoteCache[module.JsonDataTy]


@both
def test_json_travels_as_bytes(module: ModuleType) -> None:
    backend = _dictionary_backend(module)()
    cache = module.RemoteCache(backend, module.RemoteCacheJsonSerde())
    value = {"data": "YWJj", "time_taken_ms": 12, "list": [1, 2.5, None, True]}
    cache.put("key", value)
    assert backend.values == {
        "key": b'{"data": "YWJj", "time_taken_ms": 12, "list": [1, 2.5, null, true]}'
    }
    assert cache.get("key") == value


@both
def test_a_backend_raises_what_it_raises(module: ModuleType) -> None:
    backend = _failing_backend(module)()
    cache = module.RemoteCache(backend, module.RemoteCachePassthroughSerde())
    for asked in (backend, cache):
        with pytest.raises(AssertionError, match="get of key"):
            asked.get("key")
        with pytest.raises(AssertionError, match="put of key"):
            asked.put("key", "value")


@both
def test_a_failure_is_noted_logged_and_raised(module: ModuleType) -> None:
    cache = _noting_cache(module)(_failing_backend(module)())
    with pytest.raises(AssertionError):
        cache.get("a")
    with pytest.raises(AssertionError):
        cache.put("b", "value")
    assert cache.notes == [Note("get of a"), Note("put of b")]


@both
def test_a_success_is_logged_without_a_reason(module: ModuleType) -> None:
    cache = _noting_cache(module)(_dictionary_backend(module)())
    cache.put("key", "value")
    cache.get("key")
    cache.get("absent")
    assert cache.notes == [Note(), Note(), Note()]


@both
def test_a_failing_serde_is_noted_too(module: ModuleType) -> None:
    class FailingSerde(module.RemoteCacheSerde):  # type: ignore[name-defined,misc]
        def encode(self, data: Any) -> Any:
            raise ValueError("encode")

        def decode(self, data: Any) -> Any:
            raise ValueError("decode")

    backend = _dictionary_backend(module)()
    backend.put("key", b"data")
    cache = _noting_cache(module)(backend)
    cache.serde = FailingSerde()
    with pytest.raises(ValueError, match="decode"):
        cache.get("key")
    with pytest.raises(ValueError, match="encode"):
        cache.put("key", "value")
    assert cache.notes == [Note("decode"), Note("encode")]


@both
def test_every_override_point_is_called_with_the_sample(module: ModuleType) -> None:
    calls: list[tuple[object, ...]] = []

    class Overriding(module.RemoteCache):  # type: ignore[name-defined,misc]
        def _create_sample(self) -> Note:
            return Note()

        def _log_sample(self, sample: Any) -> None:
            calls.append(("log", sample))

        def _get(self, key: str, sample: Any) -> Any:
            calls.append(("get", key, sample))
            return super()._get(f"<{key}>", sample)

        def _put(self, key: str, value: Any, sample: Any) -> None:
            calls.append(("put", key, value, sample))
            super()._put(f"<{key}>", value, sample)

        def _encode(self, value: Any, sample: Any) -> Any:
            calls.append(("encode", value, sample))
            return super()._encode(value, sample)

        def _decode(self, data: Any, sample: Any) -> Any:
            calls.append(("decode", data, sample))
            return super()._decode(data, sample)

        def _backend_get(self, key: str) -> Any:
            calls.append(("backend_get", key))
            return super()._backend_get(key)

        def _backend_put(self, key: str, data: Any) -> None:
            calls.append(("backend_put", key, data))
            super()._backend_put(key, data)

    backend = _dictionary_backend(module)()
    cache = Overriding(backend, module.RemoteCacheJsonSerde())
    cache.put("k", 7)
    assert cache.get("k") == 7
    note = Note()
    assert calls == [
        ("put", "k", 7, note),
        ("encode", 7, note),
        ("backend_put", "<k>", b"7"),
        ("log", note),
        ("get", "k", note),
        ("backend_get", "<k>"),
        ("decode", b"7", note),
        ("log", note),
    ]
    assert backend.values == {"<k>": b"7"}


@both
def test_a_class_can_be_given_another_backend(module: ModuleType) -> None:
    class Overridden(module.RemoteCache):  # type: ignore[name-defined,misc]
        backend_override_cls = _dictionary_backend(module)

    cache = Overridden(_failing_backend(module)(), module.RemoteCachePassthroughSerde())
    cache.put("key", "value")
    assert cache.get("key") == "value"
    assert isinstance(
        module.RemoteCache(None, module.RemoteCachePassthroughSerde()), module.RemoteCache
    )


@both
def test_none_is_refused(module: ModuleType) -> None:
    cache = module.RemoteCache(_dictionary_backend(module)(), module.RemoteCachePassthroughSerde())
    with pytest.raises((AssertionError, ValueError)):
        cache.put("key", None)


@both
def test_annotations_with_sample_can_be_read_back(module: ModuleType) -> None:
    def function(sample: module.Sample | None) -> None:  # type: ignore[name-defined]
        del sample

    assert "sample" in function.__annotations__


class TestOurs:
    """What PyTorch's module gets wrong (it is named beside each)."""

    @pytest.mark.parametrize("value", [b"", 0, "", False])
    def test_falsy_values_are_found(self, value: object) -> None:
        """There they read as a miss."""
        cache: ours.RemoteCache[Any] = ours.RemoteCache(
            _dictionary_backend(ours)(), ours.RemoteCachePassthroughSerde()
        )
        cache.put("key", value)
        assert cache.get("key") is value

    def test_a_raising_log_does_not_fail_a_get(self) -> None:
        """There a good get raises, and a failed one raises the wrong thing."""

        class Cache(ours.RemoteCache[Any]):
            @override
            def _create_sample(self) -> Note:
                return Note()

            @override
            def _log_sample(self, sample: Any) -> None:
                raise RuntimeError("the logger is down")

        backend = _dictionary_backend(ours)()
        backend.values["key"] = "value"
        assert Cache(backend, ours.RemoteCachePassthroughSerde()).get("key") == "value"
        failing = Cache(_failing_backend(ours)(), ours.RemoteCachePassthroughSerde())
        with pytest.raises(AssertionError, match="get of key"):
            failing.get("key")

    def test_a_backend_may_forget_its_constructor(self) -> None:
        """There `get` raises AttributeError."""

        class Forgetful(ours.RemoteCacheBackend[bytes]):
            def __init__(self) -> None:
                pass

            @override
            def _get(self, key: str) -> bytes | None:
                return key.encode()

            @override
            def _put(self, key: str, data: bytes) -> None:
                del key, data

        assert Forgetful().get("key") == b"key"

    def test_nothing_is_logged_where_there_is_no_sample(self) -> None:
        """There `_log_sample` is called with None."""
        logged: list[object] = []

        class Cache(ours.RemoteCache[Any]):
            @override
            def _log_sample(self, sample: Any) -> None:
                logged.append(sample)

        Cache(_dictionary_backend(ours)(), ours.RemoteCachePassthroughSerde()).get("key")
        assert logged == []

    def test_none_is_refused_however_python_runs(self) -> None:
        """There an `assert` does it, which `python -O` removes."""
        cache: ours.RemoteCache[Any] = ours.RemoteCache(
            _dictionary_backend(ours)(), ours.RemoteCachePassthroughSerde()
        )
        with pytest.raises(ValueError, match="None"):
            cache.put("key", None)
